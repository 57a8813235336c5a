"""Multi-view part sorter.

A part falls past four low-resolution line cameras; each view shows it under a different
rotation, and often half hidden.  The four views of one part are pushed through one shared
CNN and max-pooled, MVCNN style.
"""
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

PARTS = ["bolt", "nut", "washer", "bracket", "gear", "clip"]
VIEWS, EDGE = 4, 24


def silhouette(part, angle, rng):
    g = np.linspace(-1.2, 1.2, EDGE)
    X, Y = np.meshgrid(g, g)
    X, Y = X - rng.uniform(-.12, .12), Y - rng.uniform(-.12, .12)
    x = X * math.cos(angle) + Y * math.sin(angle)
    y = Y * math.cos(angle) - X * math.sin(angle)
    r, t = np.hypot(x, y), np.arctan2(y, x)
    if part == "bolt":
        m = (np.abs(y) < .16) & (np.abs(x) < .85) | (np.abs(y) < .38) & (np.abs(x + .7) < .2)
    elif part == "nut":
        hexa = np.maximum.reduce([np.abs(x * math.cos(a) + y * math.sin(a)) for a in (0, math.pi / 3, 2 * math.pi / 3)])
        m = (hexa < .6) & (r > .22)
    elif part == "washer":
        m = (r < .72) & (r > .48)
    elif part == "bracket":
        m = (np.abs(x + .45) < .17) & (np.abs(y) < .7) | (np.abs(y - .5) < .17) & (np.abs(x) < .6)
    elif part == "gear":
        m = (r < .55 + .17 * np.sign(np.cos(8 * t))) & (r > .15)
    else:
        m = (r < .7) & (r > .5) & (np.abs(t) > .8)
    return m.astype(np.float32)


def take_part(k, rng):
    shots = []
    base = rng.uniform(0, 2 * math.pi)
    for v in range(VIEWS):
        s = silhouette(PARTS[k], base + v * math.pi / 4 + rng.normal(0, .1), rng) * rng.uniform(.5, 1.)
        if rng.random() < .6:                       # chute wall in front of the camera
            cut = rng.integers(4, 13)
            s = np.rot90(s, rng.integers(4)).copy()
            s[:cut] = rng.uniform(0, .3)
        shots.append(s + rng.normal(0, .15, s.shape))
    return np.array(shots, dtype=np.float32)[:, None]


def conveyor(n, seed):
    rng = np.random.default_rng(seed)
    which = rng.integers(0, len(PARTS), size=n)
    return torch.tensor(np.array([take_part(k, rng) for k in which])), torch.tensor(which)


class Mix(nn.Module):
    """1x1, 3x3 and pooled paths side by side."""

    def __init__(self, i, a, b, c):
        super().__init__()
        self.p1 = nn.Conv2d(i, a, 1)
        self.p3 = nn.Conv2d(i, b, 3, padding=1)
        self.pp = nn.Conv2d(i, c, 1)

    def forward(self, x):
        return F.relu(torch.cat([self.p1(x), self.p3(x), self.pp(F.max_pool2d(x, 3, 1, 1))], 1))


class MVCNN(nn.Module):
    def __init__(self, n_out):
        super().__init__()
        self.first = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.mix1 = Mix(16, 8, 20, 4)
        self.mix2 = Mix(32, 12, 28, 8)
        self.embed = nn.Linear(48 * 9, 64)
        self.out = nn.Linear(64, n_out)

    def trunk(self, im):
        h = F.relu(self.first(im))                  # 12
        h = F.max_pool2d(self.mix1(h), 2)           # 6
        h = F.max_pool2d(self.mix2(h), 2)           # 3
        return F.relu(self.embed(h.flatten(1)))

    def forward(self, views):                       # (n, views, 1, h, w)
        n, v = views.shape[:2]
        z = self.trunk(views.flatten(0, 1))
        z = z.view(v, n, -1).amax(dim=0)            # strongest response over the views
        return self.out(z)


def minibatches(x, y, size, gen):
    order = torch.randperm(len(y), generator=gen)
    for lo in range(0, len(y), size):
        pick = order[lo:lo + size]
        yield x[pick], y[pick]


def train(net, data, epochs=6, size=32, lr=1e-3, out=sys.stdout):
    gen = torch.Generator().manual_seed(5)
    opt = torch.optim.NAdam(net.parameters(), lr=lr)
    for e in range(epochs):
        net.train()
        run = None
        for x, y in minibatches(*data, size, gen):
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            run = loss.item() if run is None else .95 * run + .05 * loss.item()
        out.write(f"epoch {e} running loss {run:.3f}\n")
    return net


@torch.no_grad()
def confusion(net, data):
    net.eval()
    m = torch.zeros(len(PARTS), len(PARTS), dtype=torch.long)
    for x, y in zip(data[0].split(60), data[1].split(60)):
        for t, p in zip(y, net(x).argmax(1)):
            m[t, p] += 1
    return m


if __name__ == "__main__":
    torch.manual_seed(5)
    (xa, ya), (xb, yb) = conveyor(900, 1), conveyor(300, 2)
    mean, std = xa.mean(), xa.std()
    net = train(MVCNN(len(PARTS)), ((xa - mean) / std, ya))
    m = confusion(net, ((xb - mean) / std, yb))
    print(m.numpy())
    print("accuracy %.4f" % (m.diag().sum() / m.sum()).item())
