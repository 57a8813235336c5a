from dataclasses import dataclass, field
from typing import List
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    seed: int = 7
    n_train: int = 1280
    n_test: int = 400
    image_size: int = 32
    widths: List[int] = field(default_factory=lambda: [16, 32, 64])
    batch_size: int = 64
    epochs: int = 4
    max_lr: float = 0.08
    momentum: float = 0.9
    weight_decay: float = 5e-4


PLATES = ["circle", "up", "down", "diamond", "octagon"]
SYMBOLS = ["bar", "dot"]
NUM_CLASSES = len(PLATES) * len(SYMBOLS)


def polygon(cx, cy, r, n, rot):
    return [(cx + r * math.cos(rot + 2 * math.pi * i / n), cy + r * math.sin(rot + 2 * math.pi * i / n))
            for i in range(n)]


def render_sign(label, size, rng):
    plate, symbol = PLATES[label // 2], SYMBOLS[label % 2]
    bg = tuple(rng.randint(30, 160) for _ in range(3))
    img = Image.new("RGB", (size, size), bg)
    d = ImageDraw.Draw(img)
    cx, cy = size / 2 + rng.uniform(-3, 3), size / 2 + rng.uniform(-3, 3)
    r = rng.uniform(9, 12)
    tilt = rng.uniform(-0.12, 0.12)
    face = tuple(rng.randint(180, 240) for _ in range(3))
    rim = (rng.randint(140, 230), rng.randint(10, 50), rng.randint(10, 50))
    for radius, colour in ((r, rim), (r - 2.5, face)):
        if plate == "circle":
            d.ellipse([cx - radius, cy - radius, cx + radius, cy + radius], fill=colour)
        else:
            n, rot = {"up": (3, -math.pi / 2), "down": (3, math.pi / 2),
                      "diamond": (4, 0.0), "octagon": (8, math.pi / 8)}[plate]
            d.polygon(polygon(cx, cy, radius, n, rot + tilt), fill=colour)
    ink = tuple(rng.randint(0, 60) for _ in range(3))
    if symbol == "bar":
        d.rectangle([cx - 4, cy - 1, cx + 4, cy + 1], fill=ink)
    else:
        d.ellipse([cx - 2, cy - 2, cx + 2, cy + 2], fill=ink)
    return np.asarray(img, dtype=np.float32)


class SignDataset(Dataset):
    mean = torch.tensor([0.46, 0.40, 0.40]).view(3, 1, 1)
    std = torch.tensor([0.24, 0.24, 0.24]).view(3, 1, 1)

    def __init__(self, n, size, seed):
        rng = random.Random(seed)
        noise = np.random.default_rng(seed)
        self.targets = [i % NUM_CLASSES for i in range(n)]
        self.images = []
        for t in self.targets:
            arr = render_sign(t, size, rng) + noise.normal(0, 14, (size, size, 3))
            self.images.append(torch.from_numpy(np.clip(arr, 0, 255).astype(np.uint8)).permute(2, 0, 1))

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        x = self.images[index].float().div(255)
        return (x - self.mean) / self.std, self.targets[index]


def conv3x3(c_in, c_out, stride=1):
    return nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv1 = conv3x3(c_in, c_out, stride)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = conv3x3(c_out, c_out)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(c_out),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class TinyResNet(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        w = cfg.widths
        self.stem = nn.Sequential(conv3x3(3, w[0], stride=2), nn.BatchNorm2d(w[0]), nn.ReLU())
        self.layer1 = BasicBlock(w[0], w[0])
        self.layer2 = BasicBlock(w[0], w[1], stride=2)
        self.layer3 = BasicBlock(w[1], w[2], stride=2)
        self.head = nn.Linear(w[2], NUM_CLASSES)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def build_optimizer(model, cfg):
    decay = [p for p in model.parameters() if p.ndim > 1]
    no_decay = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=cfg.max_lr / 25, momentum=cfg.momentum, nesterov=True)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    hits = total = 0
    for x, y in loader:
        hits += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
        total += len(y)
    return hits / total


def main(cfg: Config):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_loader = DataLoader(SignDataset(cfg.n_train, cfg.image_size, 100), cfg.batch_size, shuffle=True)
    test_loader = DataLoader(SignDataset(cfg.n_test, cfg.image_size, 200), 100)
    model = TinyResNet(cfg).to(device)
    optimizer = build_optimizer(model, cfg)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=cfg.max_lr, epochs=cfg.epochs, steps_per_epoch=len(train_loader))
    for epoch in range(cfg.epochs):
        model.train()
        total = 0.0
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch}: train loss {total / cfg.n_train:.3f}")
    print(f"accuracy: {evaluate(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main(Config())
