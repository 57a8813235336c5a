"""Coloured shapes with DisturbLabel (Xie et al., CVPR 2016) as the regulariser."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    side: int = 24
    classes: int = 6
    train_size: int = 1800
    val_size: int = 240
    test_size: int = 480
    batch_size: int = 40
    epochs: int = 12
    lr: float = 2e-3
    disturb: float = 0.15
    seed: int = 5


def polygon(kind, cx, cy, r, rot):
    if kind < 3:                                   # triangle, square, (almost) circle
        n, radii = (3, 4, 16)[kind], [r]
    else:                                          # 3-, 4- and 5-pointed stars
        n, radii = 2 * kind, [r, 0.4 * r]
    return [(cx + radii[i % len(radii)] * np.cos(rot + 2 * np.pi * i / n),
             cy + radii[i % len(radii)] * np.sin(rot + 2 * np.pi * i / n)) for i in range(n)]


class Shapes(Dataset):
    def __init__(self, n, cfg, seed, disturb=0.0, stats=None, train=False):
        rng = np.random.RandomState(seed)
        self.cfg, self.disturb, self.train = cfg, disturb, train
        self.labels = torch.arange(n) % cfg.classes
        pics = []
        for kind in self.labels.tolist():
            im = Image.new("RGB", (cfg.side, cfg.side), tuple(rng.randint(0, 110, 3)))
            c = cfg.side / 2 + rng.uniform(-1.5, 1.5, 2)
            ImageDraw.Draw(im).polygon(polygon(kind, c[0], c[1], rng.uniform(8.5, 10.5), rng.uniform(0, 6.28)),
                                       fill=tuple(rng.randint(120, 256, 3)))
            pics.append(np.asarray(im, np.float32) / 255 + rng.normal(0, 0.06, (cfg.side, cfg.side, 3)))
        self.pics = torch.tensor(np.stack(pics), dtype=torch.float32).permute(0, 3, 1, 2).contiguous()
        self.stats = stats or (self.pics.mean((0, 2, 3)).view(3, 1, 1), self.pics.std((0, 2, 3)).view(3, 1, 1))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        pic = (self.pics[i] - self.stats[0]) / self.stats[1]
        label = self.labels[i]
        if self.disturb and torch.rand(()) < self.disturb:
            label.random_(0, self.cfg.classes)
        if self.train:
            pic = torch.rot90(pic, int(torch.randint(4, ())), (1, 2))
        return pic, label


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(x + self.b(self.a(x)))


def network(cfg):
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        Block(24), nn.MaxPool2d(2), Block(24),
        nn.Flatten(), nn.Linear(24 * (cfg.side // 4) ** 2, cfg.classes),
    )


def measure(model, loader):
    model.eval()
    right = seen = 0
    with torch.inference_mode():
        for pic, label in loader:
            right += int((model(pic).argmax(1) == label).sum())
            seen += label.numel()
    return right / seen


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    train = Shapes(cfg.train_size, cfg, seed=10, disturb=cfg.disturb, train=True)
    val = Shapes(cfg.val_size, cfg, seed=20, stats=train.stats)
    test = Shapes(cfg.test_size, cfg, seed=30, stats=train.stats)
    loader = DataLoader(train, cfg.batch_size, shuffle=True)
    val_loader, test_loader = DataLoader(val, 120), DataLoader(test, 120)

    model = network(cfg)
    criterion = nn.CrossEntropyLoss()
    optim = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(optim, T_max=cfg.epochs)
    for epoch in range(cfg.epochs):
        model.train()
        meter = 0.0
        for pic, label in loader:
            optim.zero_grad(set_to_none=True)
            loss = criterion(model(pic), label)
            loss.backward()
            optim.step()
            meter += loss.item() * len(label)
        sched.step()
        print(f"{epoch:02d} loss={meter / len(train):.3f} val={measure(model, val_loader):.3f}")
    print(f"test accuracy = {measure(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
