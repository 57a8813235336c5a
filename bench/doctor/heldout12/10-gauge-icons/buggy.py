#!/usr/bin/env python3
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Subset, TensorDataset

NUM_CLASSES = 6


def render(label, rng, size=20):
    """Dashboard icon: a few soft-edged strokes on a dim, noisy panel."""
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    cy, cx = rng.uniform(7.5, 11.5, 2)
    u, v = xx - cx, yy - cy
    t = rng.uniform(-0.3, 0.3)
    u, v = u * np.cos(t) - v * np.sin(t), u * np.sin(t) + v * np.cos(t)
    r = np.hypot(u, v)
    s = rng.uniform(4.0, 6.0)
    w = rng.uniform(0.8, 1.3)
    ring = np.abs(r - s)
    bar_h = np.maximum(np.abs(v), np.abs(u) - s)
    bar_v = np.maximum(np.abs(u), np.abs(v) - s)
    box = np.abs(np.maximum(np.abs(u), np.abs(v)) - s * 0.9)
    dist = [ring, np.minimum(ring, bar_h), np.minimum(ring, bar_v),
            box, np.minimum(box, bar_h), np.minimum(box, bar_v)][label]
    ink = 1.0 / (1.0 + np.exp(3.0 * (dist - w)))
    img = rng.uniform(0.1, 0.4) + rng.uniform(0.3, 0.55) * ink + 0.05 * rng.uniform(-1, 1) * u / s
    return img + rng.normal(0, 0.11, (size, size))


def build_data(args):
    rng = np.random.default_rng(args.seed)
    labels = rng.permutation(np.arange(args.num_images) % NUM_CLASSES)
    images = torch.from_numpy(np.stack([render(k, rng) for k in labels])).float().unsqueeze(1)
    labels = torch.from_numpy(labels).long()

    n_test = int(args.num_images * args.test_share)
    n_val = int(args.num_images * args.val_share)
    order = torch.randperm(args.num_images, generator=torch.Generator().manual_seed(args.seed))
    test_idx, val_idx, train_idx = order[:n_test], order[n_test:n_test + n_val], order[n_test + n_val:]
    mean, std = images[train_idx].mean(), images[train_idx].std()
    full = TensorDataset((images - mean) / std, labels)
    return Subset(full, train_idx.tolist()), Subset(full, val_idx.tolist()), Subset(full, test_idx.tolist())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 48, 3, bias=False)
        self.bn3 = nn.BatchNorm2d(48)
        self.fc1 = nn.Linear(48 * 3 * 3, 64, bias=False)
        self.bn4 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, NUM_CLASSES)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.bn3(self.conv3(x)))
        x = F.relu(self.bn4(self.fc1(torch.flatten(x, 1))))
        return self.fc2(x)


def train(args, model, loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.4f}".format(epoch, batch_idx, len(loader), loss.item()))


def test(model, loader, name):
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += output.argmax(1).eq(target).sum().item()
    n = len(loader.dataset)
    print("{}: average loss: {:.4f}, accuracy: {:.4f}".format(name, loss / n, correct / n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="Dashboard icons")
    parser.add_argument("--num-images", type=int, default=1464)
    parser.add_argument("--test-share", type=float, default=0.2)
    parser.add_argument("--val-share", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--log-interval", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    train_set, val_set, test_set = build_data(args)
    print("images: {} train, {} val, {} test".format(len(train_set), len(val_set), len(test_set)))
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=500)
    test_loader = DataLoader(test_set, batch_size=500)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train_loader))
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, scheduler, epoch)
        test(model, val_loader, "Validation")
    test(model, test_loader, "Test")


if __name__ == "__main__":
    main()
