"""Recognise ship types from their silhouettes against the horizon (few labelled pictures)."""
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, Dataset

TYPES = ["tanker", "container", "ferry", "trawler", "sailing"]


@dataclass(frozen=True)
class Config:
    image_size: int = 28
    n_train: int = 200
    n_test: int = 500
    batch_size: int = 40
    epochs: int = 28
    lr: float = 3e-3
    weight_decay: float = 1e-3
    workers: int = 2
    seed: int = 7


def draw_ship(kind: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw at double resolution, blur, shrink, add haze and sensor noise."""
    big = size * 2
    sky, sea = rng.integers(150, 220), rng.integers(80, 130)
    img = Image.new("L", (big, big), int(sky))
    d = ImageDraw.Draw(img)
    water = int(big * rng.uniform(0.55, 0.75))
    d.rectangle((0, water, big, big), fill=int(sea))
    length = int(big * rng.uniform(0.45, 0.75))
    x0 = int(rng.uniform(1, big - length - 1))
    x1, h, ink = x0 + length, int(rng.integers(4, 7)), int(rng.integers(30, 80))
    d.polygon([(x0, water - h), (x1, water - h), (x1 - 3, water + 2), (x0 + 3, water + 2)], fill=ink)
    deck, left = water - h, rng.random() < 0.5

    def along(a, b):
        """Stretch of the deck, as fractions of the length counted from the stern."""
        return (x0 + a * length, x0 + b * length) if left else (x1 - b * length, x1 - a * length)

    def box(a, b, height):
        lo, hi = along(a, b)
        d.rectangle((lo, deck - height, hi, deck), fill=ink)

    if kind == "tanker":
        box(0.02, 0.16, rng.integers(7, 11))
        box(0.50, 0.53, 3)
    elif kind == "container":
        box(0.04, 0.16, rng.integers(8, 12))
        for k in range(5):
            box(0.22 + k * 0.14, 0.32 + k * 0.14, rng.integers(3, 8))
    elif kind == "ferry":
        box(0.08, 0.85, rng.integers(5, 8))
        box(0.2, 0.3, rng.integers(10, 13))
    elif kind == "trawler":
        box(0.55, 0.78, rng.integers(6, 9))
        box(0.15, 0.18, rng.integers(10, 15))
    else:
        lo, hi = along(0.45, 0.49)
        d.rectangle((lo, deck - 20, lo + 1, deck), fill=ink)
        d.polygon([(lo, deck - 19), (lo, deck - 2), (along(0.1, 0.15)[0], deck - 2)], fill=ink)
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.4))).resize((size, size), Image.BOX)
    out = np.asarray(img, dtype=np.float32) / 255
    return out + rng.normal(0, 0.05, out.shape).astype(np.float32)


class Silhouettes(Dataset):
    """Pictures with an optional, reproducible augmentation: one random stream per (seed, epoch, index)."""

    def __init__(self, n: int, seed: int, cfg: Config, augment: bool):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % len(TYPES))
        self.pictures = np.stack([draw_ship(TYPES[k], rng, cfg.image_size) for k in self.labels])
        self.cfg, self.augment, self.epoch = cfg, augment, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = self.pictures[i]
        if self.augment:
            x = self._augment(x, np.random.default_rng((self.cfg.seed, self.epoch, i)))
        x = (x - 0.55) / 0.2
        return torch.from_numpy(np.ascontiguousarray(x))[None].float(), int(self.labels[i])

    @staticmethod
    def _augment(x, rng):
        if rng.random() < 0.5:
            x = x[:, ::-1]
        dy, dx = rng.integers(-4, 5, 2)
        size = x.shape[0]
        x = np.pad(x, 4, mode="edge")[4 + dy:4 + dy + size, 4 + dx:4 + dx + size]
        x = (x - 0.55) * rng.uniform(0.7, 1.3) + 0.55 + rng.uniform(-0.1, 0.1)
        return x + rng.normal(0, 0.04, x.shape)


def build_model() -> nn.Module:
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 16), *stage(16, 32), *stage(32, 64),
                         nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 9, len(TYPES)))


def evaluate(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    correct = 0
    with torch.inference_mode():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main(cfg: Config = Config()) -> None:
    torch.manual_seed(cfg.seed)
    train_set = Silhouettes(cfg.n_train, seed=1, cfg=cfg, augment=True)
    test_set = Silhouettes(cfg.n_test, seed=2, cfg=cfg, augment=False)
    train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True, num_workers=cfg.workers,
                              persistent_workers=True)
    test_loader = DataLoader(test_set, batch_size=250)

    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cfg.epochs)
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(cfg.epochs):
        train_set.set_epoch(epoch)
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        scheduler.step()
        if epoch % 4 == 3:
            print(f"[{epoch + 1:2d}/{cfg.epochs}] train loss {total / len(train_set):.4f}")

    print("train accuracy on augmented pictures:", round(evaluate(model, train_loader), 3))
    print("test accuracy:", round(evaluate(model, test_loader), 4))


if __name__ == "__main__":
    main()
