"""Maritime signal flags, with the lab's own thin layer library (conv / pool / norm "cells")."""
import colorsys
import math
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR

# =============================================================== cells


class Conv3x3(nn.Conv2d):
    """3x3 convolution that keeps the size."""

    def __init__(self, cin, cout, bias=False):
        super().__init__(cin, cout, kernel_size=3, padding=1, bias=bias)


class Cell(nn.Module):
    """conv -> norm -> relu"""

    def __init__(self, cin, cout):
        super().__init__()
        self.conv = Conv3x3(cin, cout)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class DownCell(nn.Module):
    """conv -> pool -> norm -> relu: pooling first makes the norm four times cheaper"""

    def __init__(self, cin, cout):
        super().__init__()
        self.conv = Conv3x3(cin, cout, bias=True)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.pool(self.conv(x))).relu()


class Classifier(nn.Module):
    def __init__(self, cin, n_classes, hidden):
        super().__init__()
        self.lift = Conv3x3(cin, hidden, bias=True)
        self.out = nn.Linear(hidden, n_classes)

    def forward(self, x):
        return self.out(self.lift(x).relu().mean((2, 3)))


def build_net(n_classes, width=16):
    return nn.Sequential(OrderedDict(
        stem=Cell(3, width),
        down1=DownCell(width, 2 * width),
        down2=DownCell(2 * width, 2 * width),
        down3=DownCell(2 * width, 3 * width),
        top=Classifier(3 * width, n_classes, 64),
    ))


# =============================================================== flags
W, H = 30, 24
FLAGS = ["N", "O", "P", "K", "L", "E", "C", "J"]
B_, Y_, R_, K_, W_ = (.62, .8, .7), (.14, .9, .95), (.0, .85, .8), (.0, .0, .08), (.1, .02, .95)    # hsv


def paint(flag, u, v):
    """Index into the flag's colours for the place (u, v) in the unit square."""
    if flag == "N":
        return [B_, W_], ((u * 4).astype(int) + (v * 4).astype(int)) % 2
    if flag == "O":
        return [Y_, R_], (u > v).astype(int)
    if flag == "P":
        return [B_, W_], ((abs(u - .5) < .2) & (abs(v - .5) < .2)).astype(int)
    if flag == "K":
        return [Y_, B_], (u > .5).astype(int)
    if flag == "L":
        return [Y_, K_], (u > .5).astype(int) ^ (v > .5).astype(int)
    if flag == "E":
        return [B_, R_], (v > .5).astype(int)
    if flag == "C":
        return [B_, W_, R_], np.select([abs(v - .5) > .3, abs(v - .5) > .1], [0, 1], 2)
    return [B_, W_], (abs(v - .5) < .17).astype(int)


def snapshot(flag, rng):
    y, x = np.mgrid[0:H, 0:W].astype(float)
    zoom, phase = rng.uniform(.55, .85), rng.uniform(0, 6.3)
    x0, y0 = rng.uniform(1, W * (1 - zoom) - 1), rng.uniform(1.5, H * (1 - zoom) - 1)
    wave = rng.uniform(.4, 1.6) * np.sin(x / W * rng.uniform(5, 9) + phase)
    u, v = (x - x0) / (W * zoom), (y - y0 + wave) / (H * zoom)
    colours, index = paint(flag, np.clip(u, 0, .999), np.clip(v, 0, .999))
    shift = rng.normal(0, .012)
    rgb = np.array([colorsys.hsv_to_rgb((h + shift) % 1, s * rng.uniform(.5, 1), b) for h, s, b in colours])
    sky = np.array([.6, .7, .8]) * rng.uniform(.5, 1.15) + rng.normal(0, .05, 3)
    cloth = ((u >= 0) & (u < 1) & (v >= 0) & (v < 1))[..., None]
    folds = 1 + .3 * np.cos(x / W * 7 + phase)[..., None] * rng.uniform(.3, 1)
    img = np.where(cloth, rgb[index] * folds, sky) * rng.uniform(.5, 1.1)
    return (img + rng.normal(0, .22, img.shape)).transpose(2, 0, 1)


def make(n, rng):
    y = rng.integers(0, len(FLAGS), n)
    x = np.stack([snapshot(FLAGS[i], rng) for i in y])
    return torch.from_numpy(x).float(), torch.from_numpy(y)


# =============================================================== run


def top1(net, x, y):
    was = net.training
    net.eval()
    with torch.no_grad():
        out = torch.cat([net(c) for c in x.split(200)])
    net.train(was)
    return (out.argmax(1) == y).double().mean().item()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(6)
    rng = np.random.default_rng(6)
    (xt, yt), (xv, yv), (xe, ye) = make(1200, rng), make(200, rng), make(400, rng)
    mean, std = xt.mean((0, 2, 3), keepdim=True), xt.std((0, 2, 3), keepdim=True)
    xt, xv, xe = (xt - mean) / std, (xv - mean) / std, (xe - mean) / std

    net = build_net(len(FLAGS))
    epochs, batch = 5, 40
    steps = epochs * len(xt) // batch
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    plan = LambdaLR(opt, lambda s: min(1, (s + 1) / 15) * .5 * (1 + math.cos(math.pi * s / steps)))
    print("parameters:", sum(p.numel() for p in net.parameters()))
    net.train()
    for epoch in range(epochs):
        for pick in torch.randperm(len(xt)).split(batch):
            loss = nn.functional.cross_entropy(net(xt[pick]), yt[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
        print(f"epoch {epoch + 1}: last loss {loss.item():.3f}, validation {top1(net, xv, yv):.3f}")
    print(f"top-1 on the test flags: {top1(net, xe, ye):.4f}")


if __name__ == "__main__":
    main()
