"""Reads round gauges: which of eight sectors does the needle point to?"""
import argparse
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SECTORS = 8


def draw_gauge(rng, sector, size=32):
    s = size * 3
    face = int(rng.integers(150, 250))
    img = Image.new("L", (s, s), int(rng.integers(20, 110)))
    d = ImageDraw.Draw(img)
    cx, cy = s / 2 + rng.uniform(-6, 6), s / 2 + rng.uniform(-6, 6)
    r = s * rng.uniform(0.36, 0.44)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=face, outline=30, width=3)
    for k in range(12):
        a = 2 * math.pi * k / 12
        d.line([cx + 0.85 * r * math.cos(a), cy + 0.85 * r * math.sin(a),
                cx + 0.96 * r * math.cos(a), cy + 0.96 * r * math.sin(a)], fill=70, width=2)
    a = 2 * math.pi * (sector + rng.uniform(0.08, 0.92)) / SECTORS
    tip, tail = 0.8 * r, 0.15 * r
    d.line([cx - tail * math.cos(a), cy - tail * math.sin(a),
            cx + tip * math.cos(a), cy + tip * math.sin(a)], fill=int(rng.integers(0, 60)), width=7)
    d.ellipse([cx - 7, cy - 7, cx + 7, cy + 7], fill=40)
    x = np.asarray(img.resize((size, size), Image.BILINEAR), dtype=np.float32) / 255
    x = x + rng.normal(0, 0.04, x.shape).astype(np.float32)
    return (x - 0.5) / 0.25


def make_set(seed, per_sector):
    rng = np.random.default_rng(seed)
    xs, ys = [], []
    for sector in range(SECTORS):
        for _ in range(per_sector):
            xs.append(draw_gauge(rng, sector))
            ys.append(sector)
    return TensorDataset(torch.from_numpy(np.stack(xs)[:, None].astype(np.float32)), torch.tensor(ys))


class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.c1 = nn.Conv2d(cin, cout, 3, 2, 1, bias=False)
        self.b1 = nn.BatchNorm2d(cout)
        self.c2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(cout)
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, 2, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.b1(self.c1(x)))
        y = self.b2(self.c2(y))
        return F.relu(y + self.skip(x))


class GaugeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, 1, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.body = nn.Sequential(Block(12, 24), Block(24, 32), Block(32, 48))
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(48 * 4 * 4, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Linear(64, SECTORS),
        )

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


@torch.no_grad()
def update_average(average, model, decay):
    for a, p in zip(average.parameters(), model.parameters()):
        a.lerp_(p, 1 - decay)
    for a, b in zip(average.buffers(), model.buffers()):
        a.copy_(b)


def train(args, model, average, device, loader, optimizer, epoch):
    model.train()
    total = 0.0
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        update_average(average, model, args.ema)
        total += loss.item() * len(data)
    print(f"Train Epoch: {epoch}\tLoss: {total / len(loader.dataset):.4f}")


@torch.no_grad()
def test(net, device, loader):
    correct = 0
    for data, target in loader:
        output = net(data.to(device))
        correct += (output.argmax(1).cpu() == target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="gauge reader")
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--ema", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(make_set(args.seed, 150), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(make_set(args.seed + 1, 40), batch_size=args.batch_size)

    model = GaugeNet().to(device)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for epoch in range(1, args.epochs + 1):
        train(args, model, average, device, train_loader, optimizer, epoch)
        scheduler.step()

    model.eval()
    print(f"accuracy: {test(average, device, test_loader):.3f}")


if __name__ == "__main__":
    main()
