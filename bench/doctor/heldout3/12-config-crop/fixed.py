"""Five glyphs scanned at 40 pixels, cropped before they reach the network."""
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True)
class Config:
    scan_size: int = 40
    crop_size: int = 32
    num_classes: int = 5
    widths: tuple = (12, 24, 32)
    train_per_class: int = 100
    test_per_class: int = 40
    batch_size: int = 25
    epochs: int = 4
    lr: float = 2e-3
    seed: int = 17


def glyph(kind, size, rng):
    img = Image.new("L", (size, size), int(rng.integers(0, 70)))
    pen = ImageDraw.Draw(img)
    ink = int(rng.integers(150, 256))
    c, r = size / 2 + rng.uniform(-2, 2), rng.uniform(8, 11)
    if kind == 4:
        pen.ellipse((c - r, c - r, c + r, c + r), outline=ink, width=3)
        return img
    spokes = kind + 2
    start = rng.uniform(-0.2, 0.2)
    for k in range(spokes):
        a = start + 2 * math.pi * k / spokes
        pen.line((c, c, c + r * math.cos(a), c + r * math.sin(a)), fill=ink, width=3)
    return img


class Scans(Dataset):
    def __init__(self, cfg, per_class, seed, train, norm=None):
        rng = np.random.default_rng(seed)
        self.cfg, self.train = cfg, train
        self.targets = [k for k in range(cfg.num_classes) for _ in range(per_class)]
        grey = np.stack([np.asarray(glyph(k, cfg.scan_size, rng), dtype=np.float32) for k in self.targets])
        grey = grey / 255 + rng.normal(0, 0.05, grey.shape).astype(np.float32)
        self.norm = norm or (float(grey.mean()), float(grey.std()))
        self.scans = torch.from_numpy((grey - self.norm[0]) / self.norm[1]).unsqueeze(1)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        c = self.cfg.crop_size
        slack = self.cfg.scan_size - c
        if self.train:
            top, left = torch.randint(0, slack + 1, (2,)).tolist()
        else:
            top = left = slack // 2
        return self.scans[i, :, top:top + c, left:left + c], self.targets[i]


class GlyphNet(nn.Module):
    def __init__(self, image_size, widths, num_classes):
        super().__init__()
        stages, c_in = [], 1
        for w in widths:
            stages.append(nn.Sequential(nn.Conv2d(c_in, w, 3, stride=2, padding=1, bias=False),
                                        nn.BatchNorm2d(w), nn.ReLU()))
            c_in = w
        self.stages = nn.Sequential(*stages)
        side = image_size // 2 ** len(widths)
        self.classifier = nn.Linear(c_in * side * side, num_classes)

    def forward(self, x):
        return self.classifier(self.stages(x).flatten(start_dim=1))


def main(cfg):
    torch.manual_seed(cfg.seed)
    train = Scans(cfg, cfg.train_per_class, 1, train=True)
    test = Scans(cfg, cfg.test_per_class, 2, train=False, norm=train.norm)
    loader = DataLoader(train, batch_size=cfg.batch_size, shuffle=True)
    model = GlyphNet(cfg.crop_size, cfg.widths, cfg.num_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(1, cfg.epochs + 1):
        model.train()
        for images, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), targets)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: last batch loss {loss.item():.3f}")

    model.eval()
    hits = 0
    with torch.no_grad():
        for images, targets in DataLoader(test, batch_size=50):
            hits += (model(images).argmax(dim=1) == targets).sum().item()
    print(f"accuracy: {hits / len(test):.3f}")


if __name__ == "__main__":
    main(Config())
