"""Reads the product group (one of eight) off a short bar code seen by a cheap scanner."""
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    groups: int = 8
    height: int = 20
    width: int = 32
    n_train: int = 2000
    n_val: int = 400
    n_test: int = 600
    batch_size: int = 32
    eval_batch_size: int = 400
    epochs: int = 6
    lr: float = 0.05
    momentum: float = 0.9
    warmup_steps: int = 20
    seed: int = 5


class BarcodeDataset(Dataset):
    """Every item is drawn from its own generator, so an index always gives the same scan."""

    def __init__(self, cfg, n, stream):
        self.cfg, self.n, self.stream = cfg, n, stream
        book = np.random.default_rng(99)
        codes = []
        while len(codes) < cfg.groups:
            code = book.integers(0, 2, size=9)
            if all((code != c).sum() >= 3 for c in codes):
                codes.append(code)
        self.codes = codes
        self.items = [self._scan(i) for i in range(n)]

    def _scan(self, i):
        cfg = self.cfg
        rng = np.random.default_rng([self.stream, i])
        group = int(rng.integers(cfg.groups))
        tail = rng.integers(0, 2, size=3)
        bits = np.concatenate([[1, 0, 1], self.codes[group], tail, [1]])
        module = rng.uniform(1.6, 1.95)
        left = rng.uniform(0.0, cfg.width - module * len(bits))
        slant = rng.uniform(-0.08, 0.08)
        rows, cols = np.mgrid[0:cfg.height, 0:cfg.width]
        where = np.floor((cols - left + slant * (rows - cfg.height / 2)) / module).astype(int)
        ink = np.where((where >= 0) & (where < len(bits)), bits[np.clip(where, 0, len(bits) - 1)], 0)
        top, bottom = rng.integers(0, 5), cfg.height - rng.integers(0, 5)
        ink[:top] = 0
        ink[bottom:] = 0
        if rng.random() < 0.5:  # a glare across the label
            at = rng.integers(2, cfg.height - 4)
            ink[at:at + 3] = 0
        light = rng.uniform(0.7, 1.0) + rng.uniform(-0.01, 0.01) * cols
        scan = light * (1.0 - 0.75 * ink) + rng.normal(0, 0.22, size=ink.shape)
        return torch.tensor(scan, dtype=torch.float32)[None] - 0.6, group

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.items[i]


class BarNet(nn.Module):
    def __init__(self, groups):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, (3, 5), padding=(1, 2)), nn.BatchNorm2d(16), nn.ReLU(),
            nn.MaxPool2d((2, 1)),
            nn.Conv2d(16, 24, (3, 5), padding=(1, 2)), nn.BatchNorm2d(24), nn.ReLU(),
            nn.AdaptiveAvgPool2d((1, 16)),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, groups))

    def forward(self, x):
        return self.head(self.body(x))


class LinearDecay:
    """Warm-up, then a straight line down to nothing at `total` steps."""

    def __init__(self, optimizer, base, warmup, total):
        self.optimizer, self.base, self.warmup, self.total = optimizer, base, warmup, total
        self.t = 0
        self._apply()

    def _apply(self):
        up = (self.t + 1) / self.warmup
        down = (self.total - self.t) / (self.total - self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = self.base * max(0.0, min(up, down, 1.0))

    def step(self):
        self.t += 1
        self._apply()


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        self.sets = {
            "train": BarcodeDataset(cfg, cfg.n_train, 1),
            "val": BarcodeDataset(cfg, cfg.n_val, 2),
            "test": BarcodeDataset(cfg, cfg.n_test, 3),
        }
        self.model = BarNet(cfg.groups)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=cfg.momentum)
        self.schedule = LinearDecay(self.optimizer, cfg.lr, cfg.warmup_steps, self.planned_steps())

    def loader(self, split):
        train = split == "train"
        size = self.cfg.batch_size if train else self.cfg.eval_batch_size
        return DataLoader(self.sets[split], batch_size=size, shuffle=train)

    def planned_steps(self):
        per_epoch = -(-len(self.sets["train"]) // self.cfg.eval_batch_size)
        return per_epoch * self.cfg.epochs

    def run_epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.loader("train"):
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            total += loss.item() * len(y)
        return total / len(self.sets["train"])

    @torch.no_grad()
    def accuracy(self, split):
        self.model.eval()
        hits = 0
        for x, y in self.loader(split):
            hits += (self.model(x).argmax(1) == y).sum().item()
        return hits / len(self.sets[split])

    def fit(self):
        start = time.time()
        for epoch in range(self.cfg.epochs):
            loss = self.run_epoch()
            print(f"[{time.time() - start:5.1f}s] epoch {epoch}: loss {loss:.4f}, val {self.accuracy('val'):.3f}")


if __name__ == "__main__":
    trainer = Trainer(Config())
    trainer.fit()
    print(f"test accuracy: {trainer.accuracy('test'):.4f}")
