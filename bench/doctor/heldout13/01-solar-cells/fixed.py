"""Condition of solar cells from an electroluminescence and an infrared image, late fusion of two small networks."""
import argparse
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CONDITIONS = ["intact", "crack", "hotspot", "soiling", "inactive"]
SIZE = 24
yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


def cell_pair(kind, rng):
    """Two registered images of one cell, shape (2, SIZE, SIZE)."""
    tilt = rng.uniform(-0.15, 0.15, 2)
    shade = (tilt[0] * (xx - 12) + tilt[1] * (yy - 12)) / 12
    optical = rng.uniform(0.45, 0.75) + shade
    infrared = rng.uniform(0.3, 0.5) + 0.5 * shade
    optical[:, rng.integers(2, 6)::8] -= 0.12
    cx, cy = rng.uniform(5, SIZE - 5, 2)
    if kind == "crack":
        angle = rng.uniform(0, np.pi)
        across = np.abs((xx - cx) * np.sin(angle) - (yy - cy) * np.cos(angle))
        along = np.abs((xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle))
        optical -= 0.28 * np.exp(-(across / 0.9) ** 2) * (along < rng.uniform(5, 11))
    elif kind == "hotspot":
        infrared += rng.uniform(0.22, 0.4) * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / rng.uniform(5, 16))
    elif kind == "soiling":
        for _ in range(rng.integers(3, 6)):
            bx, by = rng.uniform(2, SIZE - 2, 2)
            optical -= rng.uniform(0.12, 0.25) * np.exp(-((xx - bx) ** 2 + (yy - by) ** 2) / rng.uniform(6, 20))
    elif kind == "inactive":
        edge = rng.uniform(9, 15)
        side = (xx > edge) if rng.random() < 0.5 else (xx < edge)
        infrared += rng.uniform(0.1, 0.2) * side
        optical -= 0.06 * side
    pair = np.stack([optical, infrared])
    return pair + rng.normal(0, 0.11, pair.shape)


def draw(n_per_class, rng):
    images = [cell_pair(k, rng) for k in CONDITIONS for _ in range(n_per_class)]
    labels = np.repeat(np.arange(len(CONDITIONS)), n_per_class)
    return torch.tensor(np.stack(images), dtype=torch.float32), torch.tensor(labels)


class Branch(nn.Module):
    def __init__(self, n_classes, width):
        super().__init__()
        stages, c_in = [], 1
        for c_out in (width, 2 * width, 4 * width):
            stages += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
            c_in = c_out
        self.body = nn.Sequential(*stages)
        self.head = nn.Linear(c_in, n_classes)

    def forward(self, x):
        return self.head(self.body(x).amax(dim=(2, 3)))


class LateFusion(nn.Module):
    """One branch per sensor, the decision is the mean over the branches."""

    def __init__(self, n_classes, width=8):
        super().__init__()
        self.branches = nn.ModuleList(Branch(n_classes, width) for _ in range(2))

    def forward(self, x):
        opinions = [branch(part) for branch, part in zip(self.branches, x.split(1, dim=1))]
        return torch.stack(opinions).mean(dim=0)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, val, test = draw(300, rng), draw(60, rng), draw(100, rng)
    mean = train[0].mean(dim=(0, 2, 3), keepdim=True)
    std = train[0].std(dim=(0, 2, 3), keepdim=True)
    train, val, test = (TensorDataset((x - mean) / std, y) for x, y in (train, val, test))
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    val_loader, test_loader = DataLoader(val, batch_size=100), DataLoader(test, batch_size=100)

    model = LateFusion(len(CONDITIONS))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * len(train_loader))

    best, best_state = -1.0, None
    for epoch in range(args.epochs):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(y)
        val_acc = accuracy(model, val_loader)
        print(f"epoch {epoch + 1:2d}  loss {total / len(train):.3f}  val {val_acc:.3f}")
        if val_acc > best:
            best, best_state = val_acc, copy.deepcopy(model.state_dict())

    model.load_state_dict(best_state)
    print(f"test accuracy of the epoch chosen on validation: {accuracy(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
