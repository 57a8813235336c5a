"""Digits of electricity meters (seven segments). Every picture comes with the agreement of its annotators,
which weighs it in the loss."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    train_size: int = 1600
    test_size: int = 400
    epochs: int = 5
    batch_size: int = 40
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-4
    width: int = 16
    seed: int = 5


SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
BOXES = {"a": (0, 1, 1, 7), "b": (1, 7, 7, 8), "c": (8, 14, 7, 8), "d": (14, 15, 1, 7),
         "e": (8, 14, 0, 1), "f": (1, 7, 0, 1), "g": (7, 8, 1, 7)}


class MeterDigits(Dataset):
    def __init__(self, size, seed):
        g = np.random.default_rng(seed)
        self.y = torch.from_numpy(g.integers(0, 10, size))
        self.agreement = torch.from_numpy(g.choice([0.5, 0.75, 1.0], size, p=[.15, .25, .6]).astype(np.float32))
        self.x = torch.stack([self.draw(int(k), float(a), g) for k, a in zip(self.y, self.agreement)])

    @staticmethod
    def draw(digit, agreement, g):
        img = np.full((28, 28), g.uniform(.0, .4), np.float32)
        sy, sx = g.uniform(1.0, 1.4), g.uniform(1.1, 1.7)
        top, left = g.uniform(2, 26 - 15 * sy), g.uniform(2, 26 - 8 * sx)
        slant = g.uniform(-.12, .12)
        ink = g.uniform(.6, 1.)
        yy, xx = np.mgrid[0:28, 0:28].astype(np.float32)
        v = (yy - top) / sy
        u = (xx - left - slant * (yy - 14)) / sx
        for s in SEGMENTS[digit]:
            r0, r1, c0, c1 = BOXES[s]
            img[(v >= r0 - .4) & (v <= r1 + .4) & (u >= c0 - .4) & (u <= c1 + .4)] = ink
        img += g.normal(0, .08 + .15 * (1 - agreement), img.shape)
        return torch.from_numpy((img - .35) / .3)[None]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i], self.agreement[i]


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm1 = nn.GroupNorm(4, cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(4, cout)
        self.short = nn.Identity() if cin == cout and stride == 1 else nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x):
        h = F.relu(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        return F.relu(h + self.short(x))


def build(cfg):
    w = cfg.width
    return nn.Sequential(nn.Conv2d(1, w, 3, 2, 1), nn.ReLU(), Residual(w, w, 1), Residual(w, 2 * w, 2),
                         Residual(2 * w, 2 * w, 1), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * w, 10))


def weighted_loss(logits, y, weight):
    per_image = F.cross_entropy(logits, y, reduction="none")
    return (per_image * weight).sum() / weight.sum()


def train(cfg, net, data, device):
    loader = DataLoader(data, cfg.batch_size, shuffle=True)
    opt = torch.optim.SGD(net.parameters(), cfg.lr, cfg.momentum, weight_decay=cfg.weight_decay)
    sched = torch.optim.lr_scheduler.MultiStepLR(opt, [cfg.epochs - 1], 0.2)
    for epoch in range(cfg.epochs):
        net.train()
        running = 0.0
        for x, y, w in loader:
            x, y, w = x.to(device), y.to(device), w.to(device)
            loss = weighted_loss(net(x), y, w)
            opt.zero_grad()
            loss.backward()
            opt.step()
            running += loss.item()
        sched.step()
        print(f"epoch {epoch + 1}: mean batch loss {running / len(loader):.3f}")


@torch.no_grad()
def test(net, data, device):
    net.eval()
    hits = 0
    for x, y, _ in DataLoader(data, 100):
        hits += (net(x.to(device)).argmax(1).cpu() == y).sum().item()
    return hits / len(data)


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = build(cfg).to(device)
    train(cfg, net, MeterDigits(cfg.train_size, cfg.seed), device)
    print(f"accuracy: {test(net, MeterDigits(cfg.test_size, cfg.seed + 1), device):.3f}")


main()
