#!/usr/bin/env python3
# leaf species from scanned leaves; usage: leaf.py --epochs 5 --batch-size 64
import argparse
import math
import time

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import Dataset, DataLoader

SPECIES = ("maple", "oak", "willow", "ginkgo", "birch")


def outline(species, rng):
    t = np.linspace(0, 2 * math.pi, 90, endpoint=False)
    if species == "maple":
        r = 8 + 3.5 * np.cos(5 * t) + 1.0 * np.cos(10 * t)
    elif species == "oak":
        r = 9 + 1.5 * np.cos(8 * t)
    elif species == "willow":
        r = 12 / np.sqrt(np.cos(t) ** 2 + (3.4 * np.sin(t)) ** 2)
    elif species == "ginkgo":
        r = np.where(np.abs(t - math.pi) < 1.9, 11.0, 3.0)
    else:
        r = 11 / np.sqrt(np.cos(t) ** 2 + (1.5 * np.sin(t)) ** 2)
    r = r * rng.uniform(0.8, 1.15)
    rot = rng.uniform(0, 2 * math.pi)
    cx, cy = 16 + rng.uniform(-2, 2, 2)
    return [(cx + a * math.cos(b + rot), cy + a * math.sin(b + rot)) for a, b in zip(r, t)]


def scan(species, rng):
    paper = tuple(int(v) for v in rng.integers(190, 235, 3))
    green = (int(rng.integers(40, 120)), int(rng.integers(90, 160)), int(rng.integers(20, 80)))
    im = Image.new("RGB", (32, 32), paper)
    ImageDraw.Draw(im).polygon(outline(species, rng), fill=green)
    im = im.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9))))
    a = np.asarray(im, np.float32) + rng.normal(0, 14, (32, 32, 3))
    return a.clip(0, 255).astype(np.uint8)


def cut_off(a):
    blue = a[..., 2]
    rim = np.concatenate([blue[0], blue[-1], blue[:, 0], blue[:, -1]])
    return rim.min() < 120


class LeafScans(Dataset):
    def __init__(self, split, count, seed):
        rng = np.random.default_rng(seed)
        scans = [(scan(SPECIES[i % 5], rng), i % 5) for i in range(count)]
        # throw away scans where the leaf sticks out of the page
        kept = [(a, s) for a, s in scans if not cut_off(a)]
        self.split = split
        self.x = np.stack([a for a, _ in kept])
        self.y = np.array([s for _, s in kept])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        im = torch.from_numpy(self.x[i]).permute(2, 0, 1).float().div(255)
        im = (im - 0.68) / 0.25
        if self.split == "train" and torch.rand(()) < 0.5:
            im = im.flip(-1)
        return im, int(self.y[i])


def loader_for(dataset, batch_size):
    training = dataset.split == "train"
    return DataLoader(dataset, batch_size=batch_size, shuffle=training, drop_last=training)


def separable(i, o, stride):
    return [nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False), nn.BatchNorm2d(i), nn.ReLU(True),
            nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True)]


class LeafNet(nn.Module):
    def __init__(self, classes, embedding=48):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
            *separable(16, 32, 2), *separable(32, 64, 2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed = nn.Sequential(nn.Linear(64, embedding, bias=False), nn.BatchNorm1d(embedding), nn.ReLU(True))
        self.classify = nn.Linear(embedding, classes)

    def forward(self, x):
        return self.classify(self.embed(self.trunk(x)))


def evaluate(model, loader):
    model.eval()
    hits = n = 0
    with torch.inference_mode():
        for x, y in loader:
            hits += (model(x).argmax(-1) == y).sum().item()
            n += y.numel()
    return hits / n


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=5)
    ap.add_argument("--batch-size", type=int, default=64)
    ap.add_argument("--lr", type=float, default=0.08)
    ap.add_argument("--train-scans", type=int, default=1180)
    args = ap.parse_args()
    torch.manual_seed(21)

    train = LeafScans("train", args.train_scans, seed=12)
    test = LeafScans("test", 400, seed=112)
    print(f"{len(train)} training scans, {len(test)} test scans")
    train_loader = loader_for(train, args.batch_size)
    test_loader = loader_for(test, args.batch_size)

    model = LeafNet(len(SPECIES))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * len(train_loader))
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        t0, total = time.time(), 0.0
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"[{epoch}] loss {total / len(train_loader):.4f}  {time.time() - t0:.1f}s")
    print(f"test accuracy {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
