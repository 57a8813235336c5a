"""Gaze zone classifier for the driver monitoring prototype.

Nine zones, seen from the camera.  One 32x32 grey crop per eye.
"""
import copy
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from torch.utils.data import DataLoader, Dataset

ZONES = ["center", "left", "right", "up", "down",
         "up_left", "up_right", "down_left", "down_right"]
OFFSETS = {"center": (0, 0), "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1),
           "up_left": (-1, -1), "up_right": (1, -1), "down_left": (-1, 1), "down_right": (1, 1)}
# zone seen after mirroring the crop
MIRRORED = {"left": "right", "right": "left"}


@dataclass
class Config:
    n_train: int = 1500
    n_val: int = 360
    n_test: int = 450
    batch_size: int = 50
    epochs: int = 9
    lr: float = 2e-3
    seed: int = 11


def render_eye(zone, rng):
    skin = int(rng.integers(95, 175))
    img = Image.new("L", (64, 64), skin)
    d = ImageDraw.Draw(img)
    cx, cy = 32 + rng.normal(0, 3), 32 + rng.normal(0, 3)
    w, h = rng.uniform(20, 25), rng.uniform(13, 18)
    d.ellipse([cx - w, cy - h, cx + w, cy + h], fill=int(min(255, skin + rng.integers(35, 80))))
    ox, oy = OFFSETS[zone]
    px = cx + ox * rng.uniform(6, 11) + rng.normal(0, 1.2)
    py = cy + oy * rng.uniform(4, 7) + rng.normal(0, 1.0)
    r = rng.uniform(6.5, 8.5)
    iris = int(rng.integers(30, 80))
    d.ellipse([px - r, py - r, px + r, py + r], fill=iris)
    d.ellipse([px - r / 2, py - r / 2, px + r / 2, py + r / 2], fill=max(0, iris - 30))
    d.arc([cx - w - 1, cy - h - 2, cx + w + 1, cy + h + 2], 190, 350, fill=skin // 3, width=2)
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5))).resize((32, 32), Image.BILINEAR)
    a = np.asarray(img, dtype=np.float32) + rng.normal(0, 9, (32, 32))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


class GazeDataset(Dataset):
    def __init__(self, n, rng, augment=False):
        self.zones = [ZONES[i % len(ZONES)] for i in range(n)]
        self.images = [render_eye(z, rng) for z in self.zones]
        self.augment = augment
        self.mean, self.std = 0.5, 0.2

    def fit_normalisation(self):
        stack = np.stack([np.asarray(i) for i in self.images]) / 255.0
        self.mean, self.std = float(stack.mean()), float(stack.std())
        return self.mean, self.std

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        img, zone = self.images[i], self.zones[i]
        if self.augment and random.random() < 0.5:
            img = ImageOps.mirror(img)
            zone = MIRRORED.get(zone, zone)
        x = torch.from_numpy(np.array(img, dtype=np.float32)).div(255).unsqueeze(0)
        return (x - self.mean) / self.std, ZONES.index(zone)


class GazeNet(nn.Module):
    def __init__(self, n_out):
        super().__init__()

        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o),
                                 nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.body = nn.Sequential(block(1, 12), block(12, 24), block(24, 32))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 4 * 4, n_out))

    def forward(self, x):
        return self.head(self.body(x))


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    hits = seen = 0
    for x, y in loader:
        hits += (net(x).argmax(dim=1) == y).sum().item()
        seen += y.numel()
    return hits / seen


def main(cfg):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(cfg.seed)
    train = GazeDataset(cfg.n_train, rng, augment=True)
    val, test = GazeDataset(cfg.n_val, rng), GazeDataset(cfg.n_test, rng)
    mean, std = train.fit_normalisation()
    for ds in (val, test):
        ds.mean, ds.std = mean, std
    train_dl = DataLoader(train, cfg.batch_size, shuffle=True)
    val_dl, test_dl = DataLoader(val, 120), DataLoader(test, 150)

    net = GazeNet(len(ZONES))
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs)
    criterion = nn.CrossEntropyLoss()
    best, best_state = -1.0, None
    for epoch in range(cfg.epochs):
        net.train()
        running = 0.0
        for x, y in train_dl:
            opt.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            opt.step()
            running += loss.item() * len(y)
        sched.step()
        acc = accuracy(net, val_dl)
        print(f"epoch {epoch + 1}: loss {running / len(train):.3f}  val {acc:.3f}")
        if acc > best:
            best, best_state = acc, copy.deepcopy(net.state_dict())
    net.load_state_dict(best_state)
    print(f"test accuracy: {accuracy(net, test_dl):.4f}")


if __name__ == "__main__":
    main(Config())
