"""Small residual network on a slice of CIFAR-10."""
import math
import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    classes: int = 4
    n_train: int = 1600
    n_test: int = 600
    width: int = 16
    keep_prob: float = 0.9
    batch: int = 40
    epochs: int = 5
    lr: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 7


def read_cifar(files, classes, limit):
    folder = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
    raw = np.concatenate([np.fromfile(os.path.join(folder, f), dtype=np.uint8).reshape(-1, 3073) for f in files])
    raw = raw[raw[:, 0] < classes][:limit]
    return raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255, raw[:, 0].astype(np.int64)


def made_up(n, classes, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    yy, xx = np.mgrid[0:32, 0:32] / 32.0
    x = np.empty((n, 3, 32, 32), dtype=np.float32)
    for i, c in enumerate(y):
        angle = math.pi * c / classes + rng.normal(0, 0.08)
        wave = np.sin(2 * math.pi * 4 * (xx * math.cos(angle) + yy * math.sin(angle)) + rng.uniform(0, 6.28))
        x[i] = 0.5 + rng.uniform(0.1, 0.25, (3, 1, 1)) * wave + rng.normal(0, 0.15, (3, 32, 32))
    return x.clip(0, 1), y.astype(np.int64)


def load(cfg):
    if os.environ.get("TENFOLD_DATA"):
        train = read_cifar(["data_batch_1.bin"], cfg.classes, cfg.n_train)
        test = read_cifar(["test_batch.bin"], cfg.classes, cfg.n_test)
    else:
        train = made_up(cfg.n_train, cfg.classes, 1)
        test = made_up(cfg.n_test, cfg.classes, 2)
    mean = train[0].mean(axis=(0, 2, 3), keepdims=True)
    std = train[0].std(axis=(0, 2, 3), keepdims=True)
    sets = [TensorDataset(torch.from_numpy((x - mean) / std), torch.from_numpy(y)) for x, y in (train, test)]
    return (DataLoader(sets[0], cfg.batch, shuffle=True, drop_last=True),
            DataLoader(sets[1], 200))


class Block(nn.Module):
    def __init__(self, cin, cout, stride, drop):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity()
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.drop = nn.Dropout2d(drop)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.drop(F.relu(y + self.short(x)))


class ResNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        w = cfg.width
        drop = cfg.keep_prob
        self.stem = nn.Sequential(nn.Conv2d(3, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU())
        self.blocks = nn.Sequential(
            Block(w, w, 1, drop), Block(w, 2 * w, 2, drop), Block(2 * w, 4 * w, 2, drop))
        self.head = nn.Linear(4 * w, cfg.classes)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(x.mean(dim=(2, 3)))


def param_groups(model, weight_decay):
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def fit(model, loader, cfg, device):
    opt = torch.optim.AdamW(param_groups(model, cfg.weight_decay), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs * len(loader))
    for epoch in range(cfg.epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(loader):.3f}")


@torch.no_grad()
def score(model, loader, device):
    model.eval()
    hits = n = 0
    for x, y in loader:
        hits += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
        n += len(y)
    return hits / n


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_loader, test_loader = load(cfg)
    model = ResNet(cfg).to(device)
    fit(model, train_loader, cfg, device)
    print(f"accuracy: {score(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
