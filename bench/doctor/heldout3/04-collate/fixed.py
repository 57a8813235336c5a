"""Shapes of varying size, padded to one canvas by the collate function."""
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
import numpy as np
from torch import nn
from torch.utils.data import DataLoader, Dataset

NAMES = ("circle", "square", "triangle", "cross")


@dataclass
class Config:
    canvas: int = 28
    train_per_class: int = 150
    test_per_class: int = 60
    batch_size: int = 30
    epochs: int = 8
    lr: float = 2e-3
    seed: int = 3


def draw(kind, rng):
    side = int(rng.integers(20, 29))
    img = Image.new("L", (side, side), int(rng.integers(0, 60)))
    pen = ImageDraw.Draw(img)
    r = int(rng.integers(5, 9))
    cx, cy = (int(v) for v in rng.integers(r + 1, side - r - 1, size=2))
    ink = int(rng.integers(140, 256))
    if kind == 0:
        pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=ink)
    elif kind == 1:
        pen.rectangle((cx - r, cy - r, cx + r, cy + r), fill=ink)
    elif kind == 2:
        pen.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=ink)
    else:
        pen.line((cx - r, cy, cx + r, cy), fill=ink, width=4)
        pen.line((cx, cy - r, cx, cy + r), fill=ink, width=4)
    grey = np.asarray(img, dtype=np.float32) + rng.normal(0, 18, (side, side))
    return torch.from_numpy(grey.astype(np.float32) / 255.0)


class Shapes(Dataset):
    def __init__(self, per_class, seed, stats=None):
        rng = np.random.default_rng(seed)
        self.labels = [k for k in range(len(NAMES)) for _ in range(per_class)]
        self.images = [draw(k, rng) for k in self.labels]
        if stats is None:
            pixels = torch.cat([im.flatten() for im in self.images])
            stats = (pixels.mean().item(), pixels.std().item())
        self.stats = stats

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        mean, std = self.stats
        return ((self.images[index] - mean) / std).unsqueeze(0), self.labels[index]


class PadCollate:
    """Centre each image on a square canvas."""

    def __init__(self, side):
        self.side = side

    def pad(self, img):
        h, w = img.shape[-2:]
        top, left = (self.side - h) // 2, (self.side - w) // 2
        return nn.functional.pad(img, (left, self.side - w - left, top, self.side - h - top))

    def __call__(self, samples):
        images = torch.zeros(len(samples), 1, self.side, self.side)
        for slot, (img, _) in zip(images, samples):
            slot.copy_(self.pad(img))
        labels = torch.tensor([label for _, label in samples])
        return images, labels


def build(num_classes):
    def stage(a, b):
        return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*stage(1, 12), *stage(12, 24), *stage(24, 48),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, num_classes))


def main(cfg):
    torch.manual_seed(cfg.seed)
    train = Shapes(cfg.train_per_class, seed=cfg.seed)
    test = Shapes(cfg.test_per_class, seed=cfg.seed + 1, stats=train.stats)
    collate = PadCollate(cfg.canvas)
    loader = DataLoader(train, cfg.batch_size, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(test, 60, collate_fn=collate)

    net = build(len(NAMES))
    optim = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(cfg.epochs):
        net.train()
        running = 0.0
        for images, labels in loader:
            optim.zero_grad(set_to_none=True)
            loss = loss_fn(net(images), labels)
            loss.backward()
            optim.step()
            running += loss.item()
        print(f"[{epoch + 1}/{cfg.epochs}] loss={running / len(loader):.3f}")

    net.eval()
    hits = 0
    with torch.inference_mode():
        for images, labels in test_loader:
            hits += (net(images).argmax(1) == labels).sum().item()
    print(f"accuracy: {hits / len(test):.3f}")


if __name__ == "__main__":
    main(Config())
