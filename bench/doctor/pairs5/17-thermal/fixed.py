"""Thermal camera at a forest road: what is in front of the lens?

Small CNN on raw temperatures (degrees Celsius, one channel, 24 x 24).
"""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

NAMES = ["human", "deer", "car", "hot stone"]
SIDE = 24


def scene(rng, kind):
    """One frame in degrees Celsius."""
    yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    air = rng.uniform(6, 22)
    slope = rng.normal(0, 0.12, 2)
    t = air + slope[0] * (yy - 12) + slope[1] * (xx - 12)
    cy, cx = rng.uniform(9, 15, 2)
    z = rng.uniform(0.75, 1.2)
    y, x = (yy - cy) / z, (xx - cx) / z
    if rng.random() < 0.5:
        x = -x
    warm = rng.uniform(2.5, 6.0)
    body = np.zeros_like(t)
    if kind == 0:
        body[(y / 5) ** 2 + (x / 2) ** 2 < 1] = 0.8
        body[(y + 6) ** 2 + x ** 2 < 4] = 1.0
    elif kind == 1:
        body[(y / 2.4) ** 2 + (x / 5) ** 2 < 1] = 0.9
        body[(np.abs(x - 4) < 1) & (y > -6) & (y < 0)] = 1.0
        body[((np.abs(x - 3) < 0.8) | (np.abs(x + 3) < 0.8)) & (y > 0) & (y < 6)] = 0.6
    elif kind == 2:
        body[(np.abs(y) < 2.6) & (np.abs(x) < 6.5)] = 0.45
        body[(np.abs(y) < 2.6) & (x > 2.5) & (x < 6.5)] = 1.0
    else:
        body[(y / 3.6) ** 2 + (x / 3.8) ** 2 < 1] = 0.75
    return (t + warm * body + rng.normal(0, 0.6, t.shape)).astype(np.float32)


def record(rng, n):
    labels = rng.integers(0, len(NAMES), n)
    return np.stack([scene(rng, k) for k in labels])[:, None], labels


class ThermalFrames(Dataset):
    def __init__(self, frames, labels, mean, std, mirror=False):
        self.frames = torch.from_numpy(frames)
        self.labels = torch.from_numpy(labels)
        self.mean, self.std = mean, std
        self.mirror = mirror

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = self.frames[i].sub(self.mean).div(self.std)
        if self.mirror and torch.rand(()) < 0.5:
            x = x.flip(-1)
        return x, self.labels[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.fc1 = nn.Linear(32 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, len(NAMES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.drop(x)), dim=1)


def train(model, loader, optimizer):
    model.train()
    total, seen = 0.0, 0
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
        seen += len(target)
    return total / seen


@torch.no_grad()
def test(model, loader):
    model.eval()
    correct = 0
    for data, target in loader:
        correct += (model(data).argmax(1) == target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="thermal frames")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    train_x, train_y = record(rng, 1400)
    val_x, val_y = record(rng, 300)
    test_x, test_y = record(rng, 600)
    mean, std = float(train_x.mean()), float(train_x.std())

    train_loader = DataLoader(ThermalFrames(train_x, train_y, mean, std, mirror=True),
                              batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(ThermalFrames(val_x, val_y, mean, std), batch_size=300)
    test_loader = DataLoader(ThermalFrames(test_x, test_y, mean, std), batch_size=300)

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    for epoch in range(1, args.epochs + 1):
        loss = train(model, train_loader, optimizer)
        scheduler.step()
        print(f"epoch {epoch:2d}  train loss {loss:.4f}  val acc {test(model, val_loader):.4f}")
    print(f"test accuracy after the last epoch (seed {args.seed}): {test(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
