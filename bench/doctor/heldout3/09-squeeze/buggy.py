"""Squeeze-and-excitation CNN on drawn arrows (four directions)."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset, random_split


def arrow(direction, rng, size=24):
    img = Image.new("L", (size, size), int(rng.integers(0, 80)))
    d = ImageDraw.Draw(img)
    ink = int(rng.integers(150, 256))
    r = int(rng.integers(6, 9))
    c = size // 2 + int(rng.integers(-2, 3))
    d.line((c - r, c, c + r, c), fill=ink, width=2)
    d.polygon([(c + r + 2, c), (c + 1, c - 5), (c + 1, c + 5)], fill=ink)
    img = img.rotate(90 * direction)
    return np.asarray(img, dtype=np.float32) / 255 + rng.normal(0, 0.15, (size, size)).astype(np.float32)


def collect(total, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(total) % 4
    return torch.tensor(np.stack([arrow(k, rng) for k in labels])).unsqueeze(1).float(), torch.tensor(labels)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduction=4):
        super().__init__()
        mid = channels // reduction
        self.reduce = nn.Conv2d(channels, mid, 1, bias=False)
        self.norm = nn.BatchNorm2d(mid)
        self.expand = nn.Conv2d(mid, channels, 1)

    def forward(self, x):
        s = F.adaptive_avg_pool2d(x, 1)
        s = F.relu(self.norm(self.reduce(s)))
        return x * torch.sigmoid(self.expand(s))


class ArrowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, stride=2, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(12)
        self.c2 = nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(24)
        self.se = SqueezeExcite(24)
        self.fc = nn.Linear(24 * 3 * 3, 4)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = self.se(F.relu(self.b2(self.c2(x))))
        return self.fc(F.max_pool2d(x, 2).flatten(1))


def main():
    parser = argparse.ArgumentParser(description="arrows")
    parser.add_argument("--images", type=int, default=601)
    parser.add_argument("--val-fraction", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    opt = parser.parse_args()
    torch.manual_seed(opt.seed)

    images, labels = collect(opt.images, opt.seed)
    n_val = int(opt.images * opt.val_fraction)
    train_part, val_part = random_split(range(opt.images), [opt.images - n_val, n_val])
    rows, held = torch.tensor(list(train_part)), torch.tensor(list(val_part))
    mean, std = images[rows].mean(), images[rows].std()
    images = (images - mean) / std
    train_set = TensorDataset(images[rows], labels[rows])
    batches = BatchSampler(RandomSampler(train_set), opt.batch, drop_last=False)
    loader = DataLoader(train_set, batch_sampler=batches)

    net = ArrowNet()
    adam = torch.optim.Adam(net.parameters(), lr=opt.lr)
    for epoch in range(opt.epochs):
        net.train()
        for x, y in loader:
            adam.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            adam.step()
        print("epoch", epoch + 1, "loss", round(loss.item(), 3))

    net.eval()
    with torch.no_grad():
        accuracy = (net(images[held]).argmax(1) == labels[held]).float().mean().item()
    print(f"accuracy: {accuracy:.3f}")


if __name__ == "__main__":
    main()
