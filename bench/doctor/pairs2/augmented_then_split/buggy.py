"""Leaf-like blobs: species differ in the number of lobes. Few scans, many augmented copies."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

COPIES = 8
SPECIES = [4, 5, 6, 7]


def scan_leaves(n):
    side = torch.linspace(-1, 1, 36)
    yy, xx = torch.meshgrid(side, side, indexing="ij")
    r, t = (xx ** 2 + yy ** 2).sqrt(), torch.atan2(yy, xx)
    label = torch.arange(n) % len(SPECIES)
    leaves = []
    for k in label.tolist():
        phase, depth = torch.rand(1) * 2 * math.pi, 0.1 + 0.06 * torch.rand(1)
        wobble = 0.1 * torch.sin(2 * t + torch.rand(1) * 6) + 0.08 * torch.sin(3 * t + torch.rand(1) * 6)
        edge = 0.62 + depth * torch.sin(SPECIES[k] * t + phase) + wobble
        colour = torch.rand(3, 1, 1) * 0.6 + 0.2
        ground = torch.rand(3, 1, 1) * 0.4
        veins = F.interpolate(torch.randn(1, 3, 9, 9), size=36, mode="bilinear")[0] * 0.15
        leaves.append(torch.sigmoid((edge - r) * 25) * (colour + veins) + ground)
    return torch.stack(leaves), label


def expand(x, y):
    out = []
    for _ in range(COPIES):
        z = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x, x.flip(3))
        shift = torch.randint(-1, 2, (2,)).tolist()
        z = torch.roll(z, shift, (2, 3)) * (0.9 + 0.2 * torch.rand(len(x), 1, 1, 1))
        out.append(z + 0.02 * torch.randn_like(z))
    return torch.cat(out), y.repeat(COPIES)


class LeafNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 48, 3, padding=1)
        self.fc = nn.Sequential(nn.Linear(48 * 16, 96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, len(SPECIES)))

    def forward(self, x):
        x = F.max_pool2d(self.c1(x).relu(), 2)
        x = F.max_pool2d(self.c2(x).relu(), 2)
        x = self.c3(x).relu()
        return self.fc(x.flatten(1))


def main():
    torch.manual_seed(8)
    images, species = scan_leaves(320)
    images = (images - images.mean()) / images.std()
    copies = TensorDataset(*expand(images, species))
    train, valid = random_split(copies, [len(copies) * 3 // 4, len(copies) // 4])
    loader = DataLoader(train, batch_size=60, shuffle=True)
    model = LeafNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(8):
        model.train()
        mean_loss = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            mean_loss += loss.item() / len(loader)
        print(f"{epoch}: {mean_loss:.4f}")
    model.eval()
    with torch.no_grad():
        ok = [(model(x).argmax(1) == y) for x, y in DataLoader(valid, batch_size=80)]
    print(f"accuracy: {torch.cat(ok).float().mean():.3f}")


if __name__ == "__main__":
    main()
