#!/usr/bin/env python3
"""Leaf species from small herbarium scans.

    python leaves.py --epochs 9 --lr 4e-3
"""
import argparse
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SPECIES = ["birch", "oak", "lime", "willow", "maple"]
SIDE = 36


def outline(species, rng):
    t = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    if species == "birch":
        r, sx, sy = 1 + 0.10 * np.sign(np.sin(14 * t)), 0.72, 1.0
    elif species == "oak":
        r, sx, sy = 0.82 + 0.20 * np.cos(8 * t), 0.75, 1.0
    elif species == "lime":
        r, sx, sy = 0.95 - 0.35 * np.sin(t) * np.abs(np.cos(t)) ** 0.5, 1.0, 1.0
    elif species == "willow":
        r, sx, sy = np.ones_like(t), 0.36, 1.1
    else:
        r, sx, sy = 0.52 + 0.55 * np.abs(np.cos(2.5 * t + 0.3)) ** 1.5, 1.0, 1.0
    r = r * (1 + rng.normal(0, 0.03, t.shape))
    return r * np.cos(t) * sx, r * np.sin(t) * sy


def scan(species, rng):
    paper = tuple(int(v) for v in rng.integers(195, 245, 3))
    im = Image.new("RGB", (SIDE, SIDE), paper)
    d = ImageDraw.Draw(im)
    x, y = outline(species, rng)
    a = rng.uniform(-0.35, 0.35)
    size = rng.uniform(10, 14)
    cx, cy = SIDE / 2 + rng.uniform(-2, 2, 2)
    px = cx + size * (x * math.cos(a) - y * math.sin(a))
    py = cy + size * (x * math.sin(a) + y * math.cos(a))
    green = (int(rng.integers(30, 130)), int(rng.integers(80, 160)), int(rng.integers(20, 80)))
    d.polygon(list(zip(px.tolist(), py.tolist())), fill=green)
    d.line([cx - size * math.sin(a), cy + size * math.cos(a), cx + size * math.sin(a), cy - size * math.cos(a)],
           fill=tuple(v + 40 for v in green))
    arr = np.asarray(im, np.float32) + rng.normal(0, 10, (SIDE, SIDE, 3))
    return arr.clip(0, 255).astype(np.uint8)


class Herbarium(Dataset):
    def __init__(self, per_species, seed):
        rng = np.random.default_rng(seed)
        self.items = [(scan(s, rng), k) for k, s in enumerate(SPECIES) for _ in range(per_species)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        im, k = self.items[i]
        return torch.from_numpy(im).permute(2, 0, 1).float() / 255, k


MEAN = torch.tensor([0.62, 0.67, 0.60]).view(1, 3, 1, 1)
STD = torch.tensor([0.27, 0.20, 0.29]).view(1, 3, 1, 1)


def plain_batch(items):
    x = torch.stack([im for im, _ in items])
    return (x - MEAN) / STD, torch.tensor([k for _, k in items])


def jitter_batch(items):
    """Collate + rotate/zoom/erase, the whole batch in one grid_sample."""
    x, y = plain_batch(items)
    n = len(x)
    ang = (torch.rand(n) * 2 - 1) * math.pi / 4
    zoom = torch.empty(n).uniform_(0.75, 1.4)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(ang) * zoom
    theta[:, 0, 1] = -torch.sin(ang) * zoom
    theta[:, 1, 0] = torch.sin(ang) * zoom
    theta[:, :, 2] = torch.empty(n, 2).uniform_(-0.25, 0.25)
    x = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), padding_mode="border", align_corners=False)
    for k in range(n):
        if random.random() < 0.6:
            r, c = random.randrange(SIDE - 16), random.randrange(SIDE - 16)
            x[k, :, r:r + 16, c:c + 16] = 0
    return x, y


def make_loader(data, batch, shuffle=False, collate=jitter_batch):
    return DataLoader(data, batch_size=batch, shuffle=shuffle, collate_fn=collate)


def build_net(width):
    def block(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True), nn.MaxPool2d(2))
    return nn.Sequential(block(3, width), block(width, 2 * width), block(2 * width, 3 * width),
                         nn.Flatten(), nn.Linear(3 * width * 16, len(SPECIES)))


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    hit = total = 0
    for x, y in loader:
        hit += (net(x).argmax(1) == y).sum().item()
        total += len(y)
    return hit / total


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=9)
    ap.add_argument("--batch", type=int, default=40)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--width", type=int, default=12)
    ap.add_argument("--seed", type=int, default=3)
    args = ap.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    train_loader = make_loader(Herbarium(160, seed=10), args.batch, shuffle=True)
    val_loader = make_loader(Herbarium(80, seed=11), args.batch)

    net = build_net(args.width)
    opt = torch.optim.AdamW(net.parameters(), lr=args.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs)
    for ep in range(args.epochs):
        net.train()
        running = 0.0
        for x, y in train_loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            running += loss.item() * len(y)
        sched.step()
        print(f"epoch {ep + 1}: loss {running / len(train_loader.dataset):.3f}  val acc {accuracy(net, val_loader):.3f}")
    print(f"final validation accuracy {accuracy(net, val_loader):.4f}")


if __name__ == "__main__":
    main()
