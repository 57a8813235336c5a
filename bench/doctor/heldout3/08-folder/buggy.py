"""Road-sign-like pictures, written to class folders and read back with PIL."""
import math
import pathlib
import random
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

KINDS = {"stop": 8, "yield": 3, "parking": 4, "round": 40}


def paint(sides, rnd, size=24):
    img = Image.new("RGB", (size, size), tuple(rnd.randint(0, 120) for _ in range(3)))
    pen = ImageDraw.Draw(img)
    c, r = size / 2 + rnd.uniform(-2, 2), rnd.uniform(7, 9.5)
    turn = rnd.uniform(-0.15, 0.15) + (math.pi / sides if sides % 2 == 0 else -math.pi / 2)
    ring = [(c + r * math.cos(turn + 2 * math.pi * k / sides), c + r * math.sin(turn + 2 * math.pi * k / sides))
            for k in range(sides)]
    pen.polygon(ring, fill=tuple(rnd.randint(140, 255) for _ in range(3)))
    noise = np.random.default_rng(rnd.getrandbits(32)).normal(0, 12, (size, size, 3))
    return Image.fromarray(np.clip(np.asarray(img) + noise, 0, 255).astype(np.uint8))


def write_folders(root, per_class, seed):
    rnd = random.Random(seed)
    for name, sides in KINDS.items():
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            paint(sides, rnd).save(root / name / f"{i:04d}.png")


class FolderSet(Dataset):
    def __init__(self, root, stats=None):
        self.classes = sorted(p.name for p in root.iterdir())
        self.files = sorted(root.glob("*/*.png"))
        pixels = np.stack([np.asarray(Image.open(f), dtype=np.float32) / 255 for f in self.files])
        self.stats = stats or (pixels.mean((0, 1, 2)), pixels.std((0, 1, 2)))
        self.pixels = pixels

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        mean, std = self.stats
        x = torch.from_numpy((self.pixels[i] - mean) / std).permute(2, 0, 1)
        return x, self.classes.index(self.files[i].parent.name)


class SignNet(nn.Module):
    """Adds a little feature noise while it learns."""

    def __init__(self, classes, noise=0.1):
        super().__init__()
        self.noise = noise
        self.noisy = True
        self.first = self.unit(3, 16)
        self.second = self.unit(16, 32)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(32 * 9, classes)

    @staticmethod
    def unit(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))

    def train(self, mode=True):
        super().train()
        self.noisy = mode
        return self

    def forward(self, x):
        x = self.first(x)
        if self.noisy:
            x = x + self.noise * torch.randn_like(x)
        x = nn.functional.avg_pool2d(self.second(x), 2)
        return self.fc(self.drop(x.flatten(1)))


def main():
    torch.manual_seed(9)
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        write_folders(root / "train", 120, seed=1)
        write_folders(root / "test", 50, seed=2)
        train_set = FolderSet(root / "train")
        test_set = FolderSet(root / "test", train_set.stats)
        assert train_set.classes == test_set.classes
        loader = DataLoader(train_set, batch_size=32, shuffle=True)
        test_loader = DataLoader(test_set, batch_size=50)

        net = SignNet(len(train_set.classes))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        loss_fn = nn.CrossEntropyLoss()
        for epoch in range(5):
            net.train()
            total = 0.0
            for x, y in loader:
                optimizer.zero_grad()
                loss = loss_fn(net(x), y)
                loss.backward()
                optimizer.step()
                total += loss.item()
            print(f"epoch {epoch + 1}: loss {total / len(loader):.3f}")

        net.eval()
        with torch.no_grad():
            hits = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
        print(f"accuracy: {hits / len(test_set):.3f}")


if __name__ == "__main__":
    main()
