# Identify insects from a handful of drawer photographs (PNG files on disk).
import math
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    kinds: tuple = ("ant", "beetle", "butterfly", "dragonfly", "spider")
    train_per_kind: int = 24
    test_per_kind: int = 120
    side: int = 28
    batch: int = 24
    epochs: int = 45
    lr: float = 3e-3
    seed: int = 8


# ---- pictures ---------------------------------------------------------------
def insect(kind, rng):
    S = 84
    paper = rng.randint(165, 225)
    im = Image.new("L", (S, S), paper)
    d = ImageDraw.Draw(im)
    ink = paper - rng.randint(50, 110)
    pale = (paper + ink) // 2
    c, k = S / 2, rng.uniform(0.8, 1.2)

    def oval(y, rx, ry, fill=ink, x=0.0):
        d.ellipse([c + (x - rx) * k, c + (y - ry) * k, c + (x + rx) * k, c + (y + ry) * k], fill=fill)

    def legs(n, reach, y0, y1):
        for i in range(n):
            y = y0 + (y1 - y0) * i / (n - 1)
            for s in (-1, 1):
                d.line([c, c + y * k, c + s * reach * k, c + (y * 2.2 + rng.uniform(-3, 3)) * k], fill=ink, width=2)

    if kind == "ant":
        legs(3, 15, -5, 5)
        oval(-14, 4, 4), oval(-3, 3, 6), oval(12, 5, 9)
    elif kind == "beetle":
        legs(3, 16, -7, 8)
        oval(4, 9, 14), oval(-13, 6, 5)
        d.line([c, c - 6 * k, c, c + 17 * k], fill=pale, width=2)
    elif kind == "butterfly":
        for s in (-1, 1):
            oval(-7, 10, 9, pale, s * 11), oval(9, 7, 7, pale, s * 8)
        oval(0, 2.5, 14)
    elif kind == "dragonfly":
        for s in (-1, 1):
            oval(-9, 13, 3, pale, s * 13), oval(-2, 12, 3, pale, s * 12)
        oval(-14, 4, 4), oval(5, 2.5, 18)
    else:
        legs(4, 18, -8, 8)
        oval(-5, 4.5, 4.5), oval(7, 7, 7)
    im = im.rotate(rng.uniform(0, 360), Image.BILINEAR, fillcolor=paper)
    im = im.crop([(t := rng.randint(0, 12)), (u := rng.randint(0, 12)), t + 72, u + 72]).resize((28, 28), Image.BOX)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 9, (28, 28))
    return Image.fromarray(np.clip(np.asarray(im) + noise, 0, 255).astype(np.uint8))


def write_drawer(folder, kinds, n, seed):
    rng = random.Random(seed)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for i in range(n):
            insect(kind, rng).save(folder / kind / f"{i:04d}.png")


# ---- datasets: each wraps the one below -------------------------------------
class PngFolder(Dataset):
    def __init__(self, folder, kinds):
        self.items = [(p, i) for i, k in enumerate(kinds) for p in sorted((folder / k).glob("*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        with Image.open(path) as im:
            return im.convert("L"), label


class InMemory(Dataset):
    """Remembers what the wrapped dataset returned, so slow disks are read once."""

    def __init__(self, inner):
        self.inner, self.store = inner, {}

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, i):
        if i not in self.store:
            self.store[i] = self.inner[i]
        return self.store[i]


class Jittered(Dataset):
    def __init__(self, inner):
        self.inner = inner

    def __len__(self):
        return len(self.inner)

    def __getitem__(self, i):
        im, label = self.inner[i]
        edge = int(np.median(np.asarray(im)[[0, -1]]))
        im = im.rotate(random.uniform(0, 360), Image.BILINEAR, fillcolor=edge,
                       translate=(random.randint(-2, 2), random.randint(-2, 2)))
        if random.random() < 0.5:
            im = im.transpose(Image.FLIP_LEFT_RIGHT)
        return ImageEnhance.Contrast(im).enhance(random.uniform(0.7, 1.4)), label


def collate(items):
    x = torch.stack([torch.from_numpy(np.array(im, dtype=np.float32))[None] / 255 for im, _ in items])
    return (x - 0.7) / 0.15, torch.tensor([label for _, label in items])


def network(n):
    def stage(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                             nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(stage(1, 12), stage(12, 24), stage(24, 40), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, n))


def main(cfg):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_drawer(root / "train", cfg.kinds, cfg.train_per_kind, seed=100)
        write_drawer(root / "test", cfg.kinds, cfg.test_per_kind, seed=200)
        train = InMemory(Jittered(PngFolder(root / "train", cfg.kinds)))
        test = PngFolder(root / "test", cfg.kinds)
        loader = DataLoader(train, cfg.batch, shuffle=True, collate_fn=collate)
        net = network(len(cfg.kinds))
        opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
        sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs)
        for epoch in range(cfg.epochs):
            net.train()
            seen = total = 0
            for x, y in loader:
                loss = nn.functional.cross_entropy(net(x), y)
                opt.zero_grad()
                loss.backward()
                opt.step()
                total, seen = total + loss.item() * len(y), seen + len(y)
            sched.step()
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1}: train loss {total / seen:.3f}")
        net.eval()
        with torch.no_grad():
            hits = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 200, collate_fn=collate))
        print(f"test accuracy: {hits / len(test):.3f}")


if __name__ == "__main__":
    main(Config())
