"""Galaxy morphology on simulated survey cut-outs: elliptical, spiral, ring, edge-on."""
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["elliptical", "spiral", "ring", "edge-on"]
SIDE = 36


def stamp(kind, rng):
    yy, xx = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    cx, cy = SIDE / 2 + rng.uniform(-3, 3, 2)
    pa = rng.uniform(0, math.pi)
    dx, dy = xx - cx, yy - cy
    u, v = dx * math.cos(pa) + dy * math.sin(pa), -dx * math.sin(pa) + dy * math.cos(pa)
    q = 0.15 if kind == "edge-on" else rng.uniform(0.6, 0.95)
    r = np.hypot(u, v / q)
    scale = rng.uniform(4.5, 7)
    light = np.exp(-r / scale)
    if kind == "spiral":
        phase = 2 * np.arctan2(v / q, u) - rng.uniform(2.5, 4) * np.log(r + 1) * rng.choice([-1, 1])
        light *= 0.45 + 0.9 * (np.cos(phase) > 0.2)
    elif kind == "ring":
        light = 0.6 * np.exp(-r / 2) + 0.8 * np.exp(-((r - 1.6 * scale) / 1.8) ** 2)
    light *= rng.uniform(0.6, 1.4)
    return light + rng.normal(0, 0.13, light.shape)


def catalogue(per_kind, seed):
    rng = np.random.default_rng(seed)
    frames, kinds = [], []
    for k, name in enumerate(KINDS):
        for _ in range(per_kind):
            frames.append(stamp(name, rng))
            kinds.append(k)
    x = torch.tensor(np.stack(frames), dtype=torch.float32).unsqueeze(1)
    return x, torch.tensor(kinds)


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.na = nn.BatchNorm2d(cout)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.nb = nn.BatchNorm2d(cout)
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        h = F.relu(self.na(self.a(x)))
        return F.relu(self.nb(self.b(h)) + self.skip(x))


class MorphNet(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stage1 = Residual(16, 24, 2)
        self.stage2 = Residual(24, 32, 2)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32, n_out)
        self.passes = 0

    def train(self, mode=True):
        # count how often we (re)enter training, shown in the log
        super().train(mode)
        if mode:
            self.passes += 1
        return self

    def forward(self, x):
        x = self.stage2(self.stage1(self.stem(x)))
        return self.head(self.drop(x.mean((2, 3))))


class Survey:
    def __init__(self, net, train_set, test_set, lr=2e-3, batch=48):
        self.net = net
        self.loader = DataLoader(train_set, batch, shuffle=True, drop_last=True)
        # the test catalogue is stored by morphology, keep that order for the per-kind table
        self.test_loader = DataLoader(test_set, batch)
        self.opt = torch.optim.Adam(net.parameters(), lr=lr)
        self.crit = nn.CrossEntropyLoss(label_smoothing=0.05)

    def run_epoch(self):
        self.net.train()
        running, seen = 0.0, 0
        for x, y in self.loader:
            self.opt.zero_grad()
            loss = self.crit(self.net(x), y)
            loss.backward()
            self.opt.step()
            running += loss.item() * len(y)
            seen += len(y)
        return running / seen

    @torch.no_grad()
    def score(self):
        self.net.eval()
        table = torch.zeros(len(KINDS), len(KINDS), dtype=torch.long)
        for x, y in self.test_loader:
            for t, p in zip(y.tolist(), self.net(x).argmax(1).tolist()):
                table[t, p] += 1
        return table


def main():
    random.seed(4)
    np.random.seed(4)
    torch.manual_seed(4)
    x, y = catalogue(320, seed=10)
    xt, yt = catalogue(96, seed=11)
    mu, sigma = x.mean(), x.std()
    survey = Survey(MorphNet(len(KINDS)), TensorDataset((x - mu) / sigma, y),
                    TensorDataset((xt - mu) / sigma, yt))
    for epoch in range(6):
        print(f"epoch {epoch + 1}: loss {survey.run_epoch():.3f} (pass {survey.net.passes})")
    table = survey.score()
    for name, row in zip(KINDS, table.tolist()):
        print(f"{name:>11s}", row)
    print("accuracy %.4f" % (table.diag().sum().item() / table.sum().item()))


if __name__ == "__main__":
    main()
