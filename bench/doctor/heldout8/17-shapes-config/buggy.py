"""Geometric shapes on cluttered backgrounds, small batch-norm CNN."""
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SHAPES = ["disc", "square", "triangle", "cross", "ring", "bars"]


@dataclass
class AugmentConfig:
    enabled: bool = True
    shift: int = 8
    erase: int = 20
    contrast: float = 0.4


@dataclass
class DataConfig:
    size: int = 32
    n_train: int = 1250
    n_val: int = 480
    batch_size: int = 50
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class Config:
    seed: int = 7
    epochs: int = 5
    max_lr: float = 8e-3
    data: DataConfig = field(default_factory=DataConfig)


def draw(rng, label, size):
    bg = tuple(int(v) for v in rng.integers(40, 140, 3))
    fg = tuple(int(v) for v in rng.integers(120, 255, 3))
    img = Image.new("RGB", (size, size), bg)
    d = ImageDraw.Draw(img)
    for _ in range(4):
        x, y = rng.integers(0, size, 2)
        c = tuple(int(v) for v in rng.integers(40, 160, 3))
        d.line([int(x), int(y), int(x + rng.integers(-12, 12)), int(y + rng.integers(-12, 12))], fill=c)
    r = int(rng.integers(6, 10))
    cx, cy = (int(v) for v in rng.integers(r + 1, size - r - 1, 2))
    box = [cx - r, cy - r, cx + r, cy + r]
    if label == 0:
        d.ellipse(box, fill=fg)
    elif label == 1:
        d.rectangle(box, fill=fg)
    elif label == 2:
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
    elif label == 3:
        d.rectangle([cx - r, cy - 2, cx + r, cy + 2], fill=fg)
        d.rectangle([cx - 2, cy - r, cx + 2, cy + r], fill=fg)
    elif label == 4:
        d.ellipse(box, outline=fg, width=3)
    else:
        for k in (-1, 0, 1):
            yy = cy + k * (r - 1)
            d.rectangle([cx - r, yy - 1, cx + r, yy + 1], fill=fg)
    a = np.asarray(img, dtype=np.float32) + rng.normal(0, 10, (size, size, 3))
    return np.clip(a, 0, 255).astype(np.uint8)


def make_images(n, size, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(SHAPES)
    rng.shuffle(labels)
    return np.stack([draw(rng, int(c), size) for c in labels]), labels


class Augment:
    """Random shift, contrast change and one erased square."""

    def __init__(self, cfg: AugmentConfig):
        self.cfg = cfg

    def __call__(self, x):
        c, h, w = x.shape
        s = self.cfg.shift
        dy, dx = torch.randint(-s, s + 1, (2,)).tolist()
        x = torch.roll(x, (dy, dx), dims=(1, 2))
        x = x * (1 + self.cfg.contrast * (2 * torch.rand(1) - 1))
        e = self.cfg.erase
        top = int(torch.randint(0, h - e + 1, (1,)))
        left = int(torch.randint(0, w - e + 1, (1,)))
        x[:, top:top + e, left:left + e] = 0
        return x


class ShapeSet(Dataset):
    def __init__(self, images, labels, mean, std, augment=None):
        self.images, self.labels = images, labels
        self.mean, self.std = mean, std
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = torch.from_numpy(self.images[i]).permute(2, 0, 1).float() / 255
        x = (x - self.mean) / self.std
        if self.augment is not None:
            x = self.augment(x)
        return x, int(self.labels[i])


def build_loader(cfg: DataConfig, images, labels, stats, split):
    train = split == "train"
    augment = Augment(cfg.augment) if cfg.augment.enabled else None
    ds = ShapeSet(images, labels, *stats, augment=augment)
    return DataLoader(ds, cfg.batch_size, shuffle=train, drop_last=train)


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout),
                         nn.ReLU(inplace=True), nn.MaxPool2d(2))


def build_model(classes):
    return nn.Sequential(block(3, 16), block(16, 32), block(32, 64), nn.AdaptiveAvgPool2d(2),
                         nn.Flatten(), nn.Linear(64 * 4, classes))


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    right = total = 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        right += (model(x).argmax(1) == y).sum().item()
        total += len(y)
    return right / total


def main(cfg: Config):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tr_x, tr_y = make_images(cfg.data.n_train, cfg.data.size, cfg.seed)
    va_x, va_y = make_images(cfg.data.n_val, cfg.data.size, cfg.seed + 1)
    flat = torch.from_numpy(tr_x).float().div(255).reshape(-1, 3)
    stats = flat.mean(0).view(3, 1, 1), flat.std(0).view(3, 1, 1)

    train_loader = build_loader(cfg.data, tr_x, tr_y, stats, "train")
    val_loader = build_loader(cfg.data, va_x, va_y, stats, "val")

    model = build_model(len(SHAPES)).to(device)
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, cfg.max_lr, epochs=cfg.epochs,
                                                steps_per_epoch=len(train_loader))
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(cfg.epochs):
        model.train()
        running = 0.0
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            sched.step()
            running += loss.item()
        print(f"epoch {epoch + 1}: loss {running / len(train_loader):.3f}")
    print(f"accuracy: {evaluate(model, val_loader, device):.3f}")


if __name__ == "__main__":
    main(Config())
