"""Small ResNet on four CIFAR-10 classes (airplane, automobile, frog, horse), warm-up + cosine schedule."""
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    classes: tuple = (0, 1, 6, 7)
    n_train: int = 2000
    n_test: int = 800
    batch_size: int = 50
    epochs: int = 6
    peak_lr: float = 0.02
    final_lr: float = 0.0002
    warmup_epochs: float = 0.5
    momentum: float = 0.9
    width: int = 12
    seed: int = 3


def read_batch(path):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].astype(np.int64)


def stand_in(n, classes, rng):
    """Coloured blobs on striped ground, for machines without the data."""
    y = rng.permutation(np.resize(np.array(classes), n)).astype(np.int64)
    yy, xx = np.mgrid[0:32, 0:32]
    out = np.zeros((n, 3, 32, 32), np.uint8)
    for i, k in enumerate(y):
        j = classes.index(int(k))
        cx, cy = rng.uniform(10, 22, 2)
        rx, ry = [(9, 4), (4, 9), (8, 8), (5, 5)][j]
        blob = ((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2 < 1
        img = 110 + 30 * np.sin(xx * rng.uniform(0.2, 0.8) + yy * rng.uniform(0.2, 0.8))[None]
        img = np.where(blob[None], rng.uniform(60, 200, (3, 1, 1)), img) + rng.normal(0, 25, (3, 32, 32))
        out[i] = img.clip(0, 255)
    return out, y


def load(cfg):
    rng = np.random.default_rng(cfg.seed)
    root = os.environ.get("TENFOLD_DATA")
    if root:
        base = Path(root) / "cifar10" / "cifar-10-batches-bin"
        xtr, ytr = read_batch(base / "data_batch_1.bin")
        xte, yte = read_batch(base / "test_batch.bin")
    else:
        xtr, ytr = stand_in(cfg.n_train, cfg.classes, rng)
        xte, yte = stand_in(cfg.n_test, cfg.classes, rng)

    def pick(x, y, n):
        idx = np.flatnonzero(np.isin(y, cfg.classes))[:n]
        lut = np.full(10, -1)
        lut[list(cfg.classes)] = np.arange(len(cfg.classes))
        return torch.from_numpy(x[idx]).float() / 255, torch.from_numpy(lut[y[idx]])

    xtr, ytr = pick(xtr, ytr, cfg.n_train)
    xte, yte = pick(xte, yte, cfg.n_test)
    mean, std = xtr.mean((0, 2, 3), keepdim=True), xtr.std((0, 2, 3), keepdim=True)
    return (xtr - mean) / std, ytr, (xte - mean) / std, yte


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity() if cin == cout and stride == 1 else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.short(x))


def build(cfg):
    w = cfg.width
    return nn.Sequential(
        nn.Conv2d(3, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(),
        Block(w, w, 1), Block(w, 2 * w, 2), Block(2 * w, 4 * w, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, len(cfg.classes)))


def learning_rate(step, steps_per_epoch, cfg):
    warm = int(cfg.warmup_epochs * steps_per_epoch)
    if step < warm:
        return cfg.peak_lr * (step + 1) / warm
    t = (step - warm) / max(1, cfg.epochs * steps_per_epoch - warm)
    return cfg.final_lr + 0.5 * (cfg.peak_lr - cfg.final_lr) * (1 + math.cos(math.pi * min(t, 1.0)))


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    hits = sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(200), y.split(200)))
    return hits / len(y)


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(3), x)


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    xtr, ytr, xte, yte = load(cfg)
    model = build(cfg)
    steps = len(xtr) // cfg.batch_size
    opt = torch.optim.SGD(model.parameters(), lr=cfg.peak_lr, momentum=cfg.momentum, nesterov=True)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: learning_rate(s, steps, cfg))

    for epoch in range(cfg.epochs):
        model.train()
        order = torch.randperm(len(xtr))[:steps * cfg.batch_size]
        total = 0.0
        for idx in order.split(cfg.batch_size):
            loss = F.cross_entropy(model(augment(xtr[idx])), ytr[idx])
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"[{epoch + 1}/{cfg.epochs}] loss {total / steps:.3f}")
    print(f"accuracy: {accuracy(model, xte, yte):.3f}")


if __name__ == "__main__":
    main()
