"""Reads PNG files and a labels.txt from a folder, the way the data came from the annotators."""
import os
import re
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, Subset


def write_folder(folder, n, rng):
    """Stars with 3 to 7 rays on a mottled ground."""
    labels = rng.integers(0, 5, n)
    for i, k in enumerate(labels):
        im = Image.fromarray(rng.integers(0, 90, (30, 30), dtype=np.uint8))
        d = ImageDraw.Draw(im)
        cx, cy = rng.uniform(12, 18, 2)
        start, reach = rng.uniform(0, 6.28), rng.uniform(8, 11)
        for ray in range(k + 3):
            a = start + 2 * np.pi * ray / (k + 3)
            d.line((cx, cy, cx + reach * np.cos(a), cy + reach * np.sin(a)), fill=int(rng.integers(170, 255)), width=2)
        im.save(os.path.join(folder, f"img_{i}.png"))
    with open(os.path.join(folder, "labels.txt"), "w") as f:
        f.write("\n".join(str(k) for k in labels))


class FolderDataset(Dataset):
    def __init__(self, folder):
        files = [f for f in os.listdir(folder) if f.endswith(".png")]
        files = sorted(files, key=lambda f: int(re.findall(r"\d+", f)[0]))
        self.images = [np.array(Image.open(os.path.join(folder, f))) for f in files]
        with open(os.path.join(folder, "labels.txt")) as f:
            self.labels = [int(line) for line in re.findall(r"\d+", f.read())]
        assert len(self.images) == len(self.labels)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        x = torch.as_tensor(self.images[i], dtype=torch.float32)[None] / 255
        return (x - 0.25) / 0.25, self.labels[i]


class StarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )
        self.head = nn.Linear(32 * 64, 5)

    def forward(self, x):
        return self.head(self.net(x).flatten(1))


def loop(model, loader, optimizer=None):
    model.train(optimizer is not None)
    hits = total = 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = model(x)
            if optimizer is not None:
                optimizer.zero_grad()
                nn.functional.cross_entropy(out, y).backward()
                optimizer.step()
            hits += int((out.argmax(1) == y).sum())
            total += len(y)
    return hits / total


with tempfile.TemporaryDirectory() as tmp:
    write_folder(tmp, 1800, np.random.default_rng(9))
    dataset = FolderDataset(tmp)
torch.manual_seed(9)
perm = torch.randperm(len(dataset)).tolist()
train_dl = DataLoader(Subset(dataset, perm[:1440]), batch_size=48, shuffle=True)
val_dl = DataLoader(Subset(dataset, perm[1440:]), batch_size=96)
model = StarNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(7):
    print("epoch", epoch, "train acc %.3f" % loop(model, train_dl, optimizer))
print("accuracy: %.3f" % loop(model, val_dl))
