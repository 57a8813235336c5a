#!/usr/bin/env python3
"""Reads embossed Braille cells (photographed under slanting light)."""
import argparse
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# dots of a cell:  1 4
#                  2 5
#                  3 6
LETTERS = {"b": (1, 2), "c": (1, 4), "d": (1, 4, 5), "e": (1, 5),
           "f": (1, 2, 4), "h": (1, 2, 5), "i": (2, 4), "j": (2, 4, 5)}
PLACE = {1: (0, 0), 2: (1, 0), 3: (2, 0), 4: (0, 1), 5: (1, 1), 6: (2, 1)}


def emboss(letter, rng, size):
    yy, xx = np.mgrid[:size, :size].astype(float)
    pitch = rng.uniform(6.5, 8)
    oy, ox = size / 2 - pitch + rng.uniform(-2, 2), size / 2 - pitch / 2 + rng.uniform(-2, 2)
    height = np.zeros((size, size))
    for dot in LETTERS[letter]:
        r, c = PLACE[dot]
        cy, cx = oy + r * pitch + rng.normal(0, .4), ox + c * pitch + rng.normal(0, .4)
        height += rng.uniform(.6, 1.2) * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * rng.uniform(1.3, 1.8) ** 2))
    light = rng.uniform(0, 2 * math.pi)
    gy, gx = np.gradient(height)
    photo = .55 + .8 * (math.cos(light) * gx + math.sin(light) * gy) + .15 * height
    photo += rng.uniform(-.1, .1) + rng.uniform(-.006, .006) * (xx - size / 2) + rng.normal(0, .11, photo.shape)
    return photo.astype(np.float32)


def draw_set(n, rng, size):
    names = list(LETTERS)
    labels = rng.integers(len(names), size=n)
    images = np.stack([emboss(names[k], rng, size) for k in labels])
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels)


def standardise(x):
    """Each photograph to mean 0 and standard deviation 1 (exposure differs from page to page)."""
    return (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)


def vary(x, turn=8., zoom=.1, move=.08):
    """Random small affine map per image, half of them mirrored."""
    n = len(x)
    angle = torch.empty(n).uniform_(-turn, turn).mul(math.pi / 180)
    sx = torch.empty(n).uniform_(1 - zoom, 1 + zoom) * (2. * torch.randint(0, 2, (n,)) - 1)
    sy = torch.empty(n).uniform_(1 - zoom, 1 + zoom)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = sx * angle.cos(), -sy * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = sx * angle.sin(), sy * angle.cos()
    theta[:, :, 2].uniform_(-move, move)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


class CellReader(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.head = nn.Linear(32 * (size // 4) ** 2, classes)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def train(model, optimizer, scheduler, x, y, batch):
    model.train()
    for idx in torch.randperm(len(x)).split(batch):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(vary(x[idx])), y[idx])
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()


@torch.no_grad()
def test(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=24)
    parser.add_argument("--train", type=int, default=1600)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x, y = draw_set(args.train, rng, args.size)
    xv, yv = draw_set(300, rng, args.size)
    xt, yt = draw_set(500, rng, args.size)
    x, xv, xt = standardise(x), standardise(xv), standardise(xt)

    model = CellReader(args.size, len(LETTERS))
    optimizer = torch.optim.Adam(model.parameters())
    steps = args.epochs * math.ceil(args.train / args.batch)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps)
    for epoch in range(1, args.epochs + 1):
        loss = train(model, optimizer, scheduler, x, y, args.batch)
        print(f"Epoch {epoch}\tloss {loss:.4f}\tvalidation {test(model, xv, yv):.4f}")
    print(f"Test accuracy: {test(model, xt, yt):.4f}")


if __name__ == "__main__":
    main()
