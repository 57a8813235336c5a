"""Pen gestures on a tablet, 18x18 pixels: a small sweep over learning rates and seeds."""
from collections import namedtuple
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    size: int = 18
    n_train: int = 400
    n_val: int = 240
    n_test: int = 120
    batch: int = 40
    epochs: int = 12
    rates: tuple = (3e-3, 6e-3, 1.2e-2)
    seeds: tuple = (0, 1, 2)


CFG = Config()
t = np.linspace(0, 1, 25)
tau = 2 * np.pi * t
poly = lambda *pts: np.stack([np.interp(t, np.linspace(0, 1, len(pts)), c) for c in zip(*pts)], 1)
GESTURES = {
    "circle": np.stack([np.cos(tau), np.sin(tau)], 1),
    "spiral": np.stack([t * np.cos(2 * tau), t * np.sin(2 * tau)], 1),
    "triangle": poly((-1, 0.9), (0, -1), (1, 0.9), (-1, 0.9)),
    "square": poly((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)),
    "zigzag": poly((-1, -0.8), (1, -0.8), (-1, 0.8), (1, 0.8)),
    "check": poly((-1, 0.1), (-0.3, 0.9), (1, -0.9)),
    "wave": np.stack([2 * t - 1, 0.7 * np.sin(tau)], 1),
    "loop": np.stack([1.6 * t - 0.8 + 0.6 * np.sin(tau), 0.7 * np.cos(tau)], 1),
}


def stroke(rng, path):
    turn, sheer = rng.normal(0, 0.25), rng.normal(0, 0.20)
    c, s = np.cos(turn), np.sin(turn)
    p = path @ np.array([[c, s], [-s, c]]) @ np.array([[1, 0], [sheer, 1]])
    wobble = np.cumsum(rng.normal(0, 0.06, p.shape), 0)
    p = (p + wobble) * rng.uniform(3.5, 6.0, 2) + CFG.size / 2 + rng.uniform(-2, 2, 2)
    lost = rng.integers(0, 4)                              # the pen comes down late
    image = Image.new("L", (2 * CFG.size, 2 * CFG.size))
    ImageDraw.Draw(image).line([tuple(q) for q in 2 * p[lost:]], fill=int(rng.integers(150, 256)), width=3)
    image = np.asarray(image.resize((CFG.size, CFG.size), Image.BOX), np.float32) / 255
    return image + rng.normal(0, 0.06, image.shape)


def split(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(GESTURES))
    paths = list(GESTURES.values())
    x = np.stack([stroke(rng, paths[k]) for k in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(10, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(3),
        nn.Flatten(), nn.Linear(24 * 9, len(GESTURES)),
    )


@torch.no_grad()
def score(net, data):
    net.eval()
    x, y = data
    return (net(x).argmax(1) == y).float().mean().item()


def fit(rate, seed, train, *watched):
    """Trains one network; yields its accuracies on the watched sets after every epoch."""
    torch.manual_seed(seed)
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    x, y = train
    for epoch in range(1, CFG.epochs + 1):
        net.train()
        for idx in torch.randperm(len(y)).split(CFG.batch):
            optimiser.zero_grad()
            F.cross_entropy(net(x[idx]), y[idx]).backward()
            optimiser.step()
        yield epoch, *(score(net, data) for data in watched)


Row = namedtuple("Row", "rate seed epoch val test")

train, val, test = split(CFG.n_train, 1), split(CFG.n_val, 2), split(CFG.n_test, 3)
mean, std = train[0].mean(), train[0].std()
train, val, test = [((x - mean) / std, y) for x, y in (train, val, test)]

table = []
for rate in CFG.rates:
    for seed in CFG.seeds:
        table += [Row(rate, seed, *line) for line in fit(rate, seed, train, val, test)]

table.sort(key=itemgetter(-1), reverse=True)
print("  rate  seed  epoch    val   test")
for row in table[:6]:
    print("{:6.4f}  {:4d}  {:5d}  {:.3f}  {:.3f}".format(*row))
best = table[0]
print(f"best of {len(table)}: rate {best.rate}, seed {best.seed}, epoch {best.epoch}")
print(f"accuracy on {len(test[1])} test gestures: {best.test:.4f}")
