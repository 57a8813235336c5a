#!/usr/bin/env python3
"""Spiral or elliptical? One-output classifier on simulated galaxy cut-outs.

Tries a few dropout rates, keeps the best snapshot of all runs and prints the final number for the paper.
"""
import copy
import numpy as np
import torch
import torch.nn as nn

PIX = 24


def simulate(n, rng):
    half = (np.arange(PIX) - PIX / 2 + 0.5) / (PIX / 2)
    u, v = np.meshgrid(half, half)
    frames, kinds = [], []
    for i in range(n):
        spiral = i % 2
        q, phi = rng.uniform(0.55, 1.0), rng.uniform(0, np.pi)
        a = u * np.cos(phi) + v * np.sin(phi)
        b = (-u * np.sin(phi) + v * np.cos(phi)) / q
        r, theta = np.hypot(a, b) + 1e-3, np.arctan2(b, a)
        light = np.exp(-r / rng.uniform(0.25, 0.45))
        if spiral:
            wind = rng.choice([-1, 1]) * rng.uniform(2.0, 4.0)
            arms = np.cos(2 * theta + wind * np.log(r) + rng.uniform(0, 2 * np.pi))
            light = light * (1 + rng.uniform(0.4, 1.0) * arms)
        frames.append(light + rng.normal(0, 0.25, light.shape))
        kinds.append(spiral)
    return np.asarray(frames, np.float32)[:, None], np.asarray(kinds, np.float32)


def make_splits(seed=2024):
    rng = np.random.default_rng(seed)
    sizes = {"train": 800, "val": 200, "test": 80}
    data = {name: simulate(n, rng) for name, n in sizes.items()}
    m, s = data["train"][0].mean(), data["train"][0].std()
    return {name: (torch.from_numpy((x - m) / s), torch.from_numpy(k)) for name, (x, k) in data.items()}


class GalaxyNet(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 5, padding=2)
        self.mid = nn.Conv2d(12, 24, 3, padding=1)
        self.top = nn.Conv2d(24, 32, 3, padding=1)
        self.drop = nn.Dropout(p)
        self.out = nn.Linear(32 * 9, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(torch.relu(self.stem(x)))
        x = self.pool(torch.relu(self.mid(x)))
        x = self.pool(torch.relu(self.top(x)))
        return self.out(self.drop(x.flatten(1))).squeeze(1)


class Experiment:
    def __init__(self, splits):
        self.splits = splits
        self.best = (-1.0, None, None)

    @torch.no_grad()
    def accuracy(self, net, split="test"):
        net.eval()
        x, k = self.splits[split]
        return ((net(x) > 0).float() == k).float().mean().item()

    def run(self, p, epochs=8, bs=40):
        net = GalaxyNet(p)
        adam = torch.optim.Adam(net.parameters(), lr=1.5e-3)
        bce = nn.BCEWithLogitsLoss()
        x, k = self.splits["train"]
        for ep in range(epochs):
            net.train()
            for idx in torch.randperm(len(x)).split(bs):
                adam.zero_grad()
                loss = bce(net(x[idx]), k[idx])
                loss.backward()
                adam.step()
            acc = self.accuracy(net, "val")
            if acc > self.best[0]:
                self.best = (acc, p, copy.deepcopy(net.state_dict()))
        print(f"dropout {p}: last loss {loss.item():.3f}, best so far {self.best[0]:.3f}")

    def report(self):
        acc, p, weights = self.best
        net = GalaxyNet(p)
        net.load_state_dict(weights)
        print(f"selected dropout={p}")
        print(f"final test accuracy: {self.accuracy(net):.4f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    exp = Experiment(make_splits())
    for rate in (0.0, 0.25, 0.5):
        exp.run(rate)
    exp.report()
