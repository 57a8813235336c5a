"""Texture classification: a short sweep over width and learning rate, then the final figure."""
import itertools
from collections import namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

Trial = namedtuple("Trial", "width lr valid score")
TEXTURES = ("stripes", "checks", "rings", "noise", "waves")


def texture(kind, g, s=20):
    yy, xx = np.mgrid[:s, :s].astype(float)
    f, a, ph = g.uniform(0.7, 1.2), g.uniform(0, np.pi), g.uniform(0, 2 * np.pi, 2)
    u, v = xx * np.cos(a) + yy * np.sin(a), yy * np.cos(a) - xx * np.sin(a)
    if kind == 0:
        t = np.sin(f * u + ph[0])
    elif kind == 1:
        t = np.sin(f * u + ph[0]) * np.sin(f * v + ph[1]) * 1.4
    elif kind == 2:
        t = np.sin(f * np.hypot(xx - g.uniform(4, 16), yy - g.uniform(4, 16)) + ph[0])
    elif kind == 3:
        t = g.normal(0, 0.7, (s, s))
    else:
        t = np.sin(f * u + 1.6 * np.sin(0.6 * v + ph[1]) + ph[0])
    return t + g.normal(0, 0.35, (s, s))


def loader(n, seed, shuffle=False):
    g = np.random.default_rng(seed)
    y = np.arange(n) % len(TEXTURES)
    x = np.stack([texture(k, g) for k in y]).astype(np.float32)
    x = torch.from_numpy(x / 0.75).unsqueeze(1)      # mean 0 by construction, std about 0.75
    return DataLoader(TensorDataset(x, torch.from_numpy(y)), batch_size=40, shuffle=shuffle)


def network(width):
    def layer(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(
        *layer(1, width), nn.MaxPool2d(2), *layer(width, 2 * width), nn.MaxPool2d(2), *layer(2 * width, 3 * width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3 * width, len(TEXTURES)))


def accuracy(net, data):
    net.eval()
    with torch.no_grad():
        return float(np.mean([(net(x).argmax(1) == y).float().mean().item() for x, y in data]))


def fit(net, data, lr, epochs):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=lr, total_steps=epochs * len(data))
    for _ in range(epochs):
        net.train()
        for x, y in data:
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
    return net


def sweep(train, valid, test, widths=(8, 12), rates=(1e-3, 3e-3), epochs=5):
    trials = []
    for width, lr in itertools.product(widths, rates):
        torch.manual_seed(29)
        net = fit(network(width), train, lr, epochs)
        trials.append(Trial(width, lr, accuracy(net, valid), accuracy(net, test)))
        print(f"width {width:2d} lr {lr:.0e} valid {trials[-1].valid:.3f}")
    return trials


def main():
    train = loader(1000, seed=1, shuffle=True)
    valid = loader(200, seed=2)
    test = loader(200, seed=3)
    trials = sweep(train, valid, test)
    best = max(trials, key=lambda t: t.valid)
    print(f"chosen: width {best.width}, lr {best.lr:.0e}")
    print(f"accuracy: {best.score:.3f}")


if __name__ == "__main__":
    main()
