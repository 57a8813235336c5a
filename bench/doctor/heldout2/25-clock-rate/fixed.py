"""Read the hour hand of a small clock (12 classes)."""

import argparse
import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def get_args():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
    p.add_argument("--lr", type=float, default=0.002)
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--batch", type=int, default=40)
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def clocks(n, g):
    hour = torch.randint(12, (n,), generator=g)
    angle = hour * (math.pi / 6) + 0.2 * (torch.rand(n, generator=g) - 0.5)
    c = 11.5 + 2 * (torch.rand(n, 2, generator=g) - 0.5)
    grid = torch.arange(24.0)
    dy = (grid[None, :] - c[:, :1])[:, :, None].expand(n, 24, 24)
    dx = (grid[None, :] - c[:, 1:])[:, None, :].expand(n, 24, 24)
    along = dx * angle.sin()[:, None, None] - dy * angle.cos()[:, None, None]
    across = dx * angle.cos()[:, None, None] + dy * angle.sin()[:, None, None]
    hand = ((along > 0) & (along < 7.5) & (across.abs() < 1)).float()
    rim = ((dx**2 + dy**2).sqrt() - 9.5).abs().lt(0.7).float()
    x = hand + 0.7 * rim + 0.35 * torch.randn(n, 24, 24, generator=g)
    return x[:, None], hour


class ClockNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.fc1 = nn.Linear(180, 50)
        self.fc2 = nn.Linear(50, 12)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = x.view(-1, 180)
        x = F.relu(self.fc1(x))
        return self.fc2(x)


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed)
    x, y = clocks(1500, g)
    xv, yv = clocks(400, g)
    mean, std = x.mean(), x.std()
    train = DataLoader(TensorDataset((x - mean) / std, y), batch_size=args.batch, shuffle=True)
    val = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=200)
    model = ClockNet()
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for epoch in range(args.epochs):
        model.train()
        for data, target in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data), target)
            loss.backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for data, target in val:
                correct += model(data).argmax(1).eq(target).sum().item()
        print(f"Epoch {epoch}: loss {loss.item():.4f}, val {correct / len(yv):.3f}")
    print(f"accuracy: {correct / len(yv):.3f}")


if __name__ == "__main__":
    main()
