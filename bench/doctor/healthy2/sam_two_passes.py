"""Sharpness-aware minimisation: two backward passes in every step.

First pass: climb to the worst point within a radius rho.  Second pass: take
the gradient there, go back, and step.  There is no batch norm in the net
(group norm instead), so the second forward disturbs no running statistics.
"""
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class SAM:
    def __init__(self, params, base, rho=0.05):
        self.params, self.base, self.rho = list(params), base, rho

    @torch.no_grad()
    def climb(self):
        norm = torch.sqrt(sum(p.grad.pow(2).sum() for p in self.params)) + 1e-12
        self.moves = [p.grad * (self.rho / norm) for p in self.params]
        for p, m in zip(self.params, self.moves):
            p.add_(m)
        self.base.zero_grad()

    @torch.no_grad()
    def descend(self):
        for p, m in zip(self.params, self.moves):
            p.sub_(m)
        self.base.step()
        self.base.zero_grad()


def arrows(n, rng, size=20):
    """Bars with a head, pointing in one of four directions."""
    y = rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    cx, cy = rng.uniform(7, 13, (2, n, 1, 1))
    theta = (y * (math.pi / 2) + rng.uniform(-0.45, 0.45, n))[:, None, None]
    u = np.cos(theta) * (xx - cx) + np.sin(theta) * (yy - cy)
    v = -np.sin(theta) * (xx - cx) + np.cos(theta) * (yy - cy)
    shaft = (np.abs(v) < 0.9) & (u > -6) & (u < 3)
    head = (u > 1) & (np.abs(v) < (6 - u) * 0.8) & (u < 6)
    x = np.where(shaft | head, rng.uniform(0.7, 1.3, (n, 1, 1)), 0.0) + rng.normal(0, 0.25, (n, size, size))
    return torch.from_numpy(x.astype(np.float32))[:, None], torch.from_numpy(y)


def make_net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 5 * 5, 4),
    )


def main():
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    train_x, train_y = arrows(1000, rng)
    valid_x, valid_y = arrows(400, rng)
    mu, sd = train_x.mean(), train_x.std()
    train_x, valid_x = (train_x - mu) / sd, (valid_x - mu) / sd

    net = make_net()
    base = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    sam = SAM(net.parameters(), base)

    for epoch in range(6):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(train_x)).split(50):
            x, y = train_x[idx], train_y[idx]
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            sam.climb()
            F.cross_entropy(net(x), y).backward()
            sam.descend()
            total += loss.item() * len(idx)
        net.eval()
        with torch.no_grad():
            acc = (net(valid_x).argmax(1) == valid_y).float().mean().item()
        print(f"epoch {epoch}: loss {total / len(train_x):.3f}, validation {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
