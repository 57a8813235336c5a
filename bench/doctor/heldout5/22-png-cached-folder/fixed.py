import random
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

random.seed(42)
np.random.seed(42)
torch.manual_seed(42)

CLASSES = ["cross", "disc", "ring", "square"]


def draw(name):
    bg = tuple(random.randint(20, 110) for _ in range(3))
    fg = tuple(random.randint(130, 235) for _ in range(3))
    im = Image.new("RGB", (24, 24), bg)
    d = ImageDraw.Draw(im)
    x, y, r = random.uniform(9, 15), random.uniform(9, 15), random.uniform(5, 8)
    box = [x - r, y - r, x + r, y + r]
    if name == "disc":
        d.ellipse(box, fill=fg)
    elif name == "ring":
        d.ellipse(box, outline=fg, width=2)
    elif name == "square":
        d.rectangle(box, fill=fg)
    else:
        d.line([x - r, y, x + r, y], fill=fg, width=3)
        d.line([x, y - r, x, y + r], fill=fg, width=3)
    arr = np.asarray(im).astype(np.float32) + np.random.normal(0, 28, (24, 24, 3))
    return Image.fromarray(np.clip(arr, 0, 255).astype(np.uint8))


def write_folder(root, per_class):
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            draw(name).save(root / name / f"{i:04d}.png")


class FolderImages(Dataset):
    def __init__(self, root, augment=False):
        self.paths = sorted(Path(root).glob("*/*.png"))
        names = sorted({p.parent.name for p in self.paths})
        self.targets = [names.index(p.parent.name) for p in self.paths]
        self.augment = augment

    def __len__(self):
        return len(self.paths)

    @lru_cache(maxsize=None)
    def _read(self, i):
        with Image.open(self.paths[i]) as im:
            return np.asarray(im.convert("RGB"), dtype=np.float32)

    def _jitter(self, a):
        if random.random() < 0.5:
            a = a[:, ::-1]
        padded = np.pad(a, ((3, 3), (3, 3), (0, 0)), mode="edge")
        top, left = random.randint(0, 6), random.randint(0, 6)
        a = padded[top:top + 24, left:left + 24]
        return a * random.uniform(0.85, 1.15)

    def __getitem__(self, i):
        a = self._read(i)
        if self.augment:
            a = self._jitter(a)
        a = (a - 100.0) / 60.0
        return torch.tensor(a.transpose(2, 0, 1).copy()).float(), self.targets[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.fc = nn.Linear(32 * 36, 4)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


with tempfile.TemporaryDirectory() as tmp:
    root = Path(tmp)
    write_folder(root / "train", 220)
    write_folder(root / "test", 100)
    train_set = FolderImages(root / "train", augment=True)
    test_set = FolderImages(root / "test")
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=100)

    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(6):
        net.train()
        for inputs, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(inputs), labels)
            loss.backward()
            optimizer.step()
        print("epoch %d, loss %.3f" % (epoch + 1, loss.item()))

    net.eval()
    correct = total = 0
    with torch.no_grad():
        for inputs, labels in test_loader:
            correct += (net(inputs).argmax(1) == labels).sum().item()
            total += len(labels)
print("accuracy: %.3f" % (correct / total))
