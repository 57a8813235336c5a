from __future__ import annotations

import argparse
import math
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

STYLES = ["banded", "chevron", "dotted", "hatched"]
PX = 28


def vessel_surface(style, rng):
    """Height field of one pot's decorated surface, 64 x 64."""
    yy, xx = np.mgrid[0:64, 0:64].astype(np.float32)
    pitch, phase = rng.uniform(7, 12), rng.uniform(0, 6)
    k = 2 * math.pi / pitch
    if style == 0:
        motif = np.sin(k * yy + phase)
    elif style == 1:
        motif = np.sin(k * (yy + np.abs((xx % 16) - 8)) + phase)
    elif style == 2:
        motif = np.sin(k * yy + phase) * np.sin(k * xx)
    else:
        motif = np.maximum(np.sin(k * (xx + yy) * 0.7 + phase), np.sin(k * (xx - yy) * 0.7))
    stains = np.zeros_like(xx)
    for _ in range(4):
        cx, cy, r = rng.uniform(0, 64), rng.uniform(0, 64), rng.uniform(5, 14)
        stains += rng.normal(0, 0.09) * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * r * r))
    clay = np.array([0.62, 0.45, 0.34]) + rng.normal(0, 0.11, 3)
    return clay + (rng.uniform(0.03, 0.09) * motif + stains)[..., None]


def photograph(surface, rng):
    y, x = rng.integers(16, 64 - PX - 10, 2)
    piece = surface[y:y + PX, x:x + PX] * rng.uniform(0.9, 1.1)
    keep = np.ones((PX, PX), bool)                              # break the corners off
    gy, gx = np.mgrid[0:PX, 0:PX] - PX / 2
    for a in rng.uniform(0, 2 * math.pi, 4):
        keep &= gx * math.cos(a) + gy * math.sin(a) < rng.uniform(8, 15)
    piece = np.where(keep[..., None], piece, 0.9) + rng.normal(0, 0.045, piece.shape)
    return Image.fromarray((np.clip(piece, 0, 1) * 255).astype(np.uint8))


def excavate(folder, vessels, photos, seed):
    """Files are named style/trench-vessel-photo.png, vessels numbered through the whole dig."""
    rng = np.random.default_rng(seed)
    for v in range(vessels):
        style = v % len(STYLES)
        target = folder / STYLES[style]
        target.mkdir(exist_ok=True)
        surface = vessel_surface(style, rng)
        trench = "ABCDE"[rng.integers(5)]
        for p in range(photos):
            photograph(surface, rng).save(target / f"{trench}-{v:03d}-{p}.png")


def held_out(path, percent):
    """Stable choice that does not depend on the order of the listing."""
    key = path.stem.split("-", 1)[1]
    return zlib.crc32(key.encode()) % 100 < percent


def load(paths):
    x = np.stack([np.asarray(Image.open(p), dtype=np.float32) / 255 for p in paths]).transpose(0, 3, 1, 2)
    y = np.array([STYLES.index(p.parent.name) for p in paths])
    return torch.from_numpy(x.copy()), torch.from_numpy(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 5, padding=2)
        self.conv2 = nn.Conv2d(24, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(24), nn.BatchNorm2d(32), nn.BatchNorm2d(48)
        self.fc1 = nn.Linear(48 * 9, 64)
        self.fc2 = nn.Linear(64, len(STYLES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


def train(args, model, loader, optimizer, epoch):
    model.train()
    total = 0.0
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"Train epoch {epoch}: loss {total / len(loader):.4f}")


def test(model, loader):
    model.eval()
    loss, correct, n = 0.0, 0, 0
    with torch.no_grad():
        for data, target in loader:
            out = model(data)
            loss += F.cross_entropy(out, target, reduction="sum").item()
            correct += (out.argmax(1) == target).sum().item()
            n += len(target)
    print(f"Test set: average loss {loss / n:.4f}, accuracy {correct}/{n} ({correct / n:.3f})")


def main():
    parser = argparse.ArgumentParser(description="pottery styles from shard photographs")
    parser.add_argument("--vessels", type=int, default=120)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--test-percent", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    with tempfile.TemporaryDirectory() as tmp:
        excavate(Path(tmp), args.vessels, args.photos, seed=31)
        files = sorted(Path(tmp).glob("*/*.png"))
        x_tr, y_tr = load([f for f in files if not held_out(f, args.test_percent)])
        x_te, y_te = load([f for f in files if held_out(f, args.test_percent)])
    print(f"{len(y_tr)} training and {len(y_te)} test photographs")
    mean, std = x_tr.mean((0, 2, 3), keepdim=True), x_tr.std((0, 2, 3), keepdim=True)
    train_loader = DataLoader(TensorDataset((x_tr - mean) / std, y_tr), args.batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(TensorDataset((x_te - mean) / std, y_te), 256)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.4)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
    test(model, test_loader)


if __name__ == "__main__":
    main()
