"""Texture recognition with a GeM-pooled CNN (Radenovic et al. 2018), synthetic materials."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    n_train: int = 1280
    n_test: int = 384
    size: int = 32
    epochs: int = 5
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 5


def texture(kind, size, rng):
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    f, ph = rng.uniform(0.5, 0.9), rng.uniform(0, 6.28, 2)
    if kind == 0:    # cloth
        im = np.sin(f * xx + ph[0]) + np.sin(f * yy + ph[1])
    elif kind == 1:  # wood
        im = 1.5 * np.sin(f * xx + 1.5 * np.sin(0.2 * yy + ph[0]) + ph[1])
    elif kind == 2:  # bricks
        im = 1.5 * np.sign(np.sin(f * yy + ph[0])) * np.sign(np.sin(f * xx + ph[1]))
    elif kind == 3:  # rings
        c = rng.uniform(8, 24, 2)
        im = 1.5 * np.sin(f * np.hypot(yy - c[0], xx - c[1]) + ph[0])
    else:            # gravel
        low = rng.normal(0, 1, (size // 4, size // 4))
        im = 1.3 * np.kron(low, np.ones((4, 4)))
    return (im + rng.normal(0, 0.7, im.shape)).astype(np.float32)


def make(n, cfg, rng):
    y = np.arange(n) % 5
    x = np.stack([texture(k, cfg.size, rng) for k in y])[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


class GeM(nn.Module):
    """Generalised mean pooling with a learnt exponent."""

    def __init__(self, p=3.0, eps=1e-6):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, x):
        x = x.clamp(min=self.eps).pow(self.p)
        return x.mean(dim=(-2, -1)).pow(1.0 / self.p)


class TextureNet(nn.Module):
    def __init__(self, width=16, classes=5):
        super().__init__()
        chans = [1, width, width * 2, width * 2]
        self.body = nn.Sequential(*[
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(chans, chans[1:])
        ])
        self.pool = GeM()
        self.fc = nn.Linear(chans[-1], classes)

    def forward(self, x):
        return self.fc(self.pool(self.body(x)))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        rng = np.random.default_rng(cfg.seed)
        xa, ya = make(cfg.n_train, cfg, rng)
        xb, yb = make(cfg.n_test, cfg, rng)
        mu, sd = xa.mean(), xa.std()
        self.train_dl = DataLoader(TensorDataset((xa - mu) / sd, ya), cfg.batch_size, shuffle=True)
        self.test_dl = DataLoader(TensorDataset((xb - mu) / sd, yb), cfg.batch_size)
        self.net = TextureNet()
        plain = [p for p in self.net.parameters() if p.ndim < 2]
        matrices = [p for p in self.net.parameters() if p.ndim >= 2]
        self.opt = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": cfg.weight_decay}, {"params": plain, "weight_decay": 0.0}], lr=cfg.lr)
        self.criterion = nn.CrossEntropyLoss()

    def run(self):
        for epoch in range(self.cfg.epochs):
            self.net.train()
            running = 0.0
            for x, y in self.train_dl:
                self.opt.zero_grad(set_to_none=True)
                loss = self.criterion(self.net(x), y)
                loss.backward()
                self.opt.step()
                running += loss.item()
            print(f"[{epoch + 1}/{self.cfg.epochs}] loss={running / len(self.train_dl):.4f}")
        return self.evaluate()

    @torch.no_grad()
    def evaluate(self):
        self.net.eval()
        hits = sum((self.net(x).argmax(1) == y).sum().item() for x, y in self.test_dl)
        return hits / self.cfg.n_test


if __name__ == "__main__":
    print(f"accuracy: {Trainer(Config()).run():.3f}")
