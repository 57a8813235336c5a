"""Texture recognition on small grey patches."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["stripes", "checks", "rings", "blobs", "weave", "grain"]


def texture(kind, size, rng):
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    a = rng.uniform(0, np.pi)
    u = xx * np.cos(a) + yy * np.sin(a)
    v = -xx * np.sin(a) + yy * np.cos(a)
    w = 2 * np.pi / rng.uniform(5.0, 9.0)
    p, q = rng.uniform(0, 2 * np.pi, 2)
    if kind == "stripes":
        img = np.sin(w * u + p)
    elif kind == "checks":
        img = np.sign(np.sin(w * u + p) * np.sin(w * v + q))
    elif kind == "rings":
        cx, cy = rng.uniform(-5, size + 5, 2)
        img = np.sin(w * np.hypot(xx - cx, yy - cy) + p)
    elif kind == "blobs":
        img = np.where(np.sin(w * u + p) + np.sin(w * v + q) > 0.8, 1.0, -1.0)
    elif kind == "weave":
        img = np.maximum(np.sin(w * u + p), np.sin(w * v + q))
    else:
        img = rng.normal(0, 1, (size // 2, size // 2)).repeat(2, 0).repeat(2, 1)
    img = 0.5 + 0.5 * img * rng.uniform(0.3, 0.6) + rng.normal(0, 0.12, (size, size))
    return np.clip(img, 0, 1).astype(np.float32)


def make_set(n, size, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(KINDS), n)
    images = np.stack([texture(KINDS[k], size, rng) for k in labels])
    images = (images - 0.5) / 0.25
    return TensorDataset(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels))


class GeM(nn.Module):
    """Generalised mean over the map, with a learned exponent."""

    def __init__(self, p=3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x):
        return x.pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class TextureNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.conv3 = nn.Conv2d(24, 40, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(40)
        self.pool = GeM()
        self.fc = nn.Linear(40, classes)

    def forward(self, x):
        x = F.silu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.silu(self.bn2(self.conv2(x))), 2)
        x = F.silu(self.bn3(self.conv3(x)))
        return self.fc(self.pool(x))


def train(args, model, device, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.4f}".format(
                epoch, batch_idx * len(data), len(loader.dataset), loss.item()))


def test(model, device, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            correct += (model(data).argmax(dim=1) == target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="texture example")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_loader = DataLoader(make_set(1000, args.size, 100), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(make_set(300, args.size, 200), batch_size=150)

    model = TextureNet(len(KINDS)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
