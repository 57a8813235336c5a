"""Depthwise net on cell-like blobs, trained under bfloat16 autocast on the CPU."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Cells(Dataset):
    """Pictures with one to four round cells; the class is the number of cells."""

    def __init__(self, n, seed, size=24):
        g = torch.Generator().manual_seed(seed)
        self.y = (torch.arange(n) % 4)[torch.randperm(n, generator=g)]
        axis = torch.arange(size).float()
        corners = torch.tensor([[6.0, 6.0], [6.0, 17.0], [17.0, 6.0], [17.0, 17.0]])
        images = []
        for label in self.y.tolist():
            picture = 0.12 * torch.randn(size, size, generator=g)
            for spot in torch.randperm(4, generator=g)[: label + 1]:
                cy, cx = corners[spot] + 2 * torch.rand(2, generator=g) - 1
                picture += torch.exp(-((axis[:, None] - cy) ** 2 + (axis[None] - cx) ** 2) / 7)
            images.append(picture)
        x = torch.stack(images).unsqueeze(1)
        self.x = (x - 0.2) / 0.3

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MixedKernel(nn.Module):
    """Depthwise convolution with 3x3 kernels on the even channels and 5x5 kernels on the odd ones."""

    def __init__(self, channels):
        super().__init__()
        even = torch.arange(0, channels, 2)
        odd = torch.arange(1, channels, 2)
        self.register_buffer("even", even)
        self.register_buffer("odd", odd)
        self.small = nn.Conv2d(len(even), len(even), 3, padding=1, groups=len(even), bias=False)
        self.large = nn.Conv2d(len(odd), len(odd), 5, padding=2, groups=len(odd), bias=False)

    def forward(self, x):
        small, large = self.small(x[:, self.even]), self.large(x[:, self.odd])
        out = torch.zeros(x.shape, device=x.device, dtype=small.dtype)
        out[:, self.even] = small
        out[:, self.odd] = large
        return out


def unit(cin, cout):
    return nn.Sequential(
        MixedKernel(cin),
        nn.BatchNorm2d(cin),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
    )


class CellNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.unit1 = unit(16, 24)
        self.unit2 = unit(24, 32)
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 2)
        x = F.max_pool2d(self.unit1(x), 2)
        return self.fc(self.unit2(x).mean((2, 3)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--no-amp", dest="amp", action="store_false")
    a = p.parse_args()
    torch.manual_seed(9)
    train, test = Cells(640, 90), Cells(200, 91)
    loader = DataLoader(train, a.batch, shuffle=True)
    net = CellNet()
    opt = torch.optim.Adam(net.parameters(), lr=a.lr)
    for epoch in range(a.epochs):
        net.train()
        total = 0.0
        for x, y in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.amp):
                logits = net(x)
            loss = F.cross_entropy(logits.float(), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.3f}")
    net.eval()
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 100))
    print(f"accuracy: {hits / len(test):.3f}")


if __name__ == "__main__":
    main()
