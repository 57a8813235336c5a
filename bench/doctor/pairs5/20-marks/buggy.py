"""Mason's marks: learn from a small upright studio series, read photographs from the wall.

The wall photographs are tilted, shifted and closer or farther than the studio ones, hence the random
affine augmentation, which is drawn reproducibly for each (seed, epoch, picture).
"""
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIZE = 24
STROKES = {  # end points in a unit square, (y, x)
    "arrow": [((0.1, 0.5), (0.9, 0.5)), ((0.1, 0.5), (0.4, 0.2)), ((0.1, 0.5), (0.4, 0.8))],
    "cross": [((0.1, 0.5), (0.9, 0.5)), ((0.35, 0.15), (0.35, 0.85))],
    "gate": [((0.15, 0.2), (0.85, 0.2)), ((0.15, 0.8), (0.85, 0.8)), ((0.15, 0.2), (0.15, 0.8))],
    "flash": [((0.1, 0.7), (0.5, 0.25)), ((0.5, 0.25), (0.5, 0.75)), ((0.5, 0.75), (0.9, 0.3))],
    "fork": [((0.5, 0.5), (0.9, 0.5)), ((0.5, 0.5), (0.15, 0.15)), ((0.5, 0.5), (0.15, 0.85))],
    "hour glass": [((0.15, 0.2), (0.85, 0.8)), ((0.15, 0.8), (0.85, 0.2)), ((0.15, 0.2), (0.15, 0.8)), ((0.85, 0.2), (0.85, 0.8))],
}


@dataclass
class Config:
    n_train: int = 360
    n_val: int = 240
    n_test: int = 600
    batch_size: int = 40
    epochs: int = 32
    lr: float = 0.05
    momentum: float = 0.9
    max_angle: float = 45.0
    max_shift: float = 3.0
    zoom: float = 0.25
    seed: int = 5


def affine(img, angle, dy, dx, zoom):
    c, s = np.cos(np.deg2rad(angle)) / zoom, np.sin(np.deg2rad(angle)) / zoom
    m = np.array([[c, s], [-s, c]])
    mid = (SIZE - 1) / 2
    return ndimage.affine_transform(img, m, mid - m @ np.array([mid + dy, mid + dx]), order=1, mode="nearest")


def random_affine(img, rng, cfg):
    return affine(img, rng.uniform(-cfg.max_angle, cfg.max_angle), *rng.uniform(-cfg.max_shift, cfg.max_shift, 2),
                  rng.uniform(1 - cfg.zoom, 1 + cfg.zoom))


def carve(strokes, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE]
    near = np.full((SIZE, SIZE), 99.0)
    for p, q in strokes:
        p, q = (5 + 14 * np.array(e) + rng.normal(0, 0.6, 2) for e in (p, q))
        d = q - p
        t = (((yy - p[0]) * d[0] + (xx - p[1]) * d[1]) / (d @ d)).clip(0, 1)
        near = np.minimum(near, np.hypot(yy - p[0] - t * d[0], xx - p[1] - t * d[1]))
    return rng.uniform(0.5, 0.7) - rng.uniform(0.2, 0.35) * np.exp(-(near / rng.uniform(0.9, 1.3)) ** 2)


def weather(img, rng):
    stone = ndimage.gaussian_filter(rng.normal(0, 1, img.shape), 2) * 0.2
    return img + stone + rng.normal(0, 0.03, img.shape)


def photograph(n, rng, cfg, tilted):
    labels = np.arange(n) % len(STROKES)
    marks = [carve(list(STROKES.values())[k], rng) for k in labels]
    if tilted:
        marks = [random_affine(m, rng, cfg) for m in marks]
    return np.stack([weather(m, rng) for m in marks]).astype(np.float32), labels


class Marks(Dataset):
    def __init__(self, images, labels, cfg, augment=False):
        self.images, self.labels, self.cfg, self.augment = images, labels, cfg, augment
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        if self.augment:
            img = random_affine(img, np.random.default_rng([self.cfg.seed, self.epoch, i]), self.cfg)
        return torch.from_numpy(img)[None], int(self.labels[i])


def build_model():
    def conv(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(*conv(1, 16), nn.MaxPool2d(2), *conv(16, 32), nn.MaxPool2d(2), *conv(32, 32),
                         nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 6 * 6, len(STROKES)))


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def run(cfg):
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    studio, labels = photograph(cfg.n_train, rng, cfg, tilted=False)
    wall_val = photograph(cfg.n_val, rng, cfg, tilted=True)
    wall_test = photograph(cfg.n_test, rng, cfg, tilted=True)
    mean, std = studio.mean(), studio.std()

    train_set = Marks((studio - mean) / std, labels, cfg, augment=True)
    val_set, test_set = (Marks((x - mean) / std, y, cfg) for x, y in (wall_val, wall_test))
    train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True, num_workers=1, persistent_workers=True)
    val_loader, test_loader = DataLoader(val_set, 120), DataLoader(test_set, 120)

    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, cfg.lr, total_steps=cfg.epochs * len(train_loader))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(cfg.epochs):
        train_set.set_epoch(epoch)
        model.train()
        losses = []
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, wall (val) {accuracy(model, val_loader):.4f}")
    print(f"wall (test), last epoch, one run with seed {cfg.seed}: {accuracy(model, test_loader):.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Config())
