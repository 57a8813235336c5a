"""Fingerprint pattern classes (arch, left loop, right loop, whorl).

Prints are scarce. During the run a snapshot is taken every few updates, and the best snapshot is delivered.
"""
import copy
from collections import namedtuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import nn

PATTERNS = ("arch", "left loop", "right loop", "whorl")
Prints = namedtuple("Prints", "images patterns")
Snapshot = namedtuple("Snapshot", "update weights")


def impression(pattern, rng, n=32):
    y, x = np.mgrid[:n, :n] - n / 2 + .5
    y, x = y - rng.uniform(-3, 3), x - rng.uniform(-3, 3)
    turn = rng.uniform(-.25, .25)
    y, x = y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)
    period = rng.uniform(3.6, 4.8)
    bend = gaussian_filter(rng.normal(0, 1, (n, n)), 5) * 14
    if pattern == 0:
        field = y + rng.uniform(3, 8) * np.exp(-(x / 7) ** 2)
    elif pattern == 3:
        field = np.hypot(y * rng.uniform(.75, 1.1), x)
    else:
        side = -1 if pattern == 1 else 1
        u = side * x * .8 + y * .6                              # along the open end of the loop
        v = y * .8 - side * x * .6
        field = np.where(u < 0, np.hypot(u, v), np.abs(v))
    ridges = np.cos(2 * np.pi * (field + bend) / period + rng.uniform(0, 2 * np.pi))
    pressure = np.clip(1.2 + 1.1 * gaussian_filter(rng.normal(0, 1, (n, n)), 3) * 3, .05, 1.3)
    worn = gaussian_filter(ridges * pressure, rng.uniform(.4, .8))
    return worn + rng.normal(0, rng.uniform(1.0, 2.1), (n, n))


def collect(per_pattern, rng):
    patterns = np.repeat(np.arange(len(PATTERNS)), per_pattern)
    images = np.stack([impression(p, rng) for p in patterns])
    images = (images - images.mean((1, 2), keepdims=True)) / images.std((1, 2), keepdims=True)
    return Prints(torch.from_numpy(images).float().unsqueeze(1), torch.from_numpy(patterns))


def build():
    def unit(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(.1), nn.MaxPool2d(2))
    return nn.Sequential(unit(1, 16), unit(16, 32), unit(32, 32), nn.Flatten(), nn.Dropout(.4),
                         nn.Linear(32 * 16, len(PATTERNS)))


def shifted(x, by=2):
    dy, dx = torch.randint(-by, by + 1, (2,)).tolist()
    return x.roll((dy, dx), (2, 3))


def snapshots(model, data, updates=330, every=6, batch=32):
    optimizer = torch.optim.SGD(model.parameters(), lr=.06, momentum=.9, weight_decay=1e-3)
    done = 0
    while True:
        for idx in torch.randperm(len(data.images)).split(batch):
            model.train()
            loss = F.cross_entropy(model(shifted(data.images[idx])), data.patterns[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done % every == 0:
                yield Snapshot(done, copy.deepcopy(model.state_dict()))
            if done == updates:
                return


class Scorer:
    """Accuracy of a snapshot on a set of prints."""

    def __init__(self, model):
        self.model = model

    @torch.no_grad()
    def __call__(self, snapshot, prints):
        self.model.load_state_dict(snapshot.weights)
        self.model.eval()
        return (self.model(prints.images).argmax(1) == prints.patterns).float().mean().item()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(41)
    rng = np.random.default_rng(41)
    learn, dev, held_out = collect(110, rng), collect(24, rng), collect(24, rng)
    model = build()
    taken = list(snapshots(model, learn))
    score = Scorer(model)
    best = max(taken, key=lambda s: score(s, dev))
    print(f"{len(taken)} snapshots; delivered: the one after {best.update} updates, dev {score(best, dev):.3f}")
    print(f"held-out accuracy {score(best, held_out):.4f}")


if __name__ == "__main__":
    main()
