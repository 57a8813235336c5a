#!/usr/bin/env python3
"""Recognise hand-drawn circuit symbols cut out of scanned exercise sheets.

Ink may be darker or lighter than the paper (some sheets are photographed blackboards).
"""
import argparse
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

SYMBOLS = ["resistor", "capacitor", "inductor", "battery", "lamp", "ground"]

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
}


def get_activation(name):
    """None or an empty string stand for no activation."""
    return ACTIVATIONS.get(name, nn.Identity)()


class StridedBlock(nn.Module):
    def __init__(self, c_in, c_out, activation, stride=2):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = get_activation(activation)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class SymbolNet(nn.Module):
    def __init__(self, n_classes, channels, activation):
        super().__init__()
        dims = [1] + list(channels)
        self.blocks = nn.ModuleList(
            StridedBlock(a, b, activation, stride=1 if i == 0 else 2) for i, (a, b) in enumerate(zip(dims, dims[1:])))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(dims[-1] * 4, n_classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.fc(self.pool(x).flatten(1))


class Symbols:
    """Generates n drawings once and keeps them in memory."""

    def __init__(self, n, size, rng):
        self.rng, self.size = rng, size
        self.y = torch.from_numpy(rng.integers(0, len(SYMBOLS), n))
        self.x = torch.stack([torch.from_numpy(self.sheet(SYMBOLS[c])) for c in self.y]).unsqueeze(1)

    def sheet(self, name):
        r, k, n = self.rng, 3, self.size * 3
        im = Image.new("L", (n, n), 0)
        d = ImageDraw.Draw(im)
        m, s, w = n / 2, n * r.uniform(.3, .4), int(r.integers(3, 6))
        q = lambda *pts: [(m + s * (a + r.normal(0, .035)), m + s * (b + r.normal(0, .035))) for a, b in pts]
        line = lambda *pts: d.line(q(*pts), 255, w)
        if name == "resistor":
            line((-1.2, 0), (-.8, 0), (-.65, -.4), (-.35, .4), (-.05, -.4), (.25, .4), (.55, -.4), (.75, 0), (1.2, 0))
        elif name == "capacitor":
            line((-1.2, 0), (-.2, 0)), line((-.2, -.7), (-.2, .7)), line((.2, -.7), (.2, .7)), line((.2, 0), (1.2, 0))
        elif name == "inductor":
            line((-1.2, 0), (-.8, 0)), line((.8, 0), (1.2, 0))
            for a in (-.6, -.2, .2, .6):
                (x0, y0), = q((a, 0))
                d.arc([x0 - .22 * s, y0 - .42 * s, x0 + .22 * s, y0 + .3 * s], 180, 360, 255, w)
        elif name == "battery":
            line((-1.2, 0), (-.2, 0)), line((-.2, -.75), (-.2, .75)), line((.15, -.3), (.15, .3)), line((.15, 0), (1.2, 0))
        elif name == "lamp":
            d.ellipse([m - .6 * s, m - .6 * s, m + .6 * s, m + .6 * s], outline=255, width=w)
            line((-.42, -.42), (.42, .42)), line((-.42, .42), (.42, -.42)), line((-1.2, 0), (-.6, 0)), line((.6, 0), (1.2, 0))
        else:
            line((-1.1, 0), (0, 0)), line((0, -.7), (0, .7)), line((.3, -.42), (.3, .42)), line((.6, -.18), (.6, .18))
        im = im.rotate(float(r.choice([0, 90]) + r.normal(0, 7)), Image.BILINEAR,
                       translate=(float(r.uniform(-3, 3) * k), float(r.uniform(-3, 3) * k)))
        ink = np.asarray(im.resize((self.size,) * 2, Image.BOX), np.float32) / 255
        ink = .5 + float(r.choice([-1, 1])) * r.uniform(.2, .45) * ink
        return (ink + r.normal(0, .07, ink.shape)).astype(np.float32)

    def __len__(self):
        return len(self.y)

    def batches(self, size, shuffle=False):
        order = torch.randperm(len(self)) if shuffle else torch.arange(len(self))
        for idx in order.split(size):
            yield self.x[idx], self.y[idx]


def accuracy(model, data):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in data.batches(100)) / len(data)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--size", type=int, default=28)
    p.add_argument("--channels", type=int, nargs="+", default=[16, 24, 32, 48])
    p.add_argument("--activation", default="lrelu")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch-size", type=int, default=40)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=14)
    args = p.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, val, test = (Symbols(n, args.size, rng) for n in (1800, 250, 450))
    mean, std = train.x.mean(), train.x.std()
    for part in (train, val, test):
        part.x = (part.x - mean) / std

    model = SymbolNet(len(SYMBOLS), args.channels, args.activation)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    steps = args.epochs * math.ceil(len(train) / args.batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for x, y in train.batches(args.batch_size, shuffle=True):
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(y)
        print(f"{epoch + 1:3d}  train loss {total / len(train):.4f}  val acc {accuracy(model, val):.3f}")
    print(f"test acc {accuracy(model, test):.4f}")


if __name__ == "__main__":
    main()
