"""Weld seam radiographs: which defect, if any, does a strip of film show?"""
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset

KINDS = ("sound", "pores", "crack", "slag", "undercut")


@dataclass
class Config:
    n_train: int = 1200
    n_val: int = 300
    n_test: int = 500
    size: int = 28
    epochs: int = 7
    batch: int = 48
    lr: float = 2e-3
    seed: int = 4


def radiograph(kind, rng, s):
    """One 8-bit film: a bright seam running top to bottom, with an indication in it."""
    yy, xx = np.mgrid[:s, :s].astype(np.float64)
    centre = s / 2 + rng.uniform(-3, 3) + rng.uniform(-.1, .1) * (yy - s / 2)
    width = rng.uniform(5, 7)
    film = rng.uniform(60, 90) + rng.uniform(55, 85) * np.exp(-((xx - centre) / width) ** 4)
    depth = rng.uniform(25, 55)
    y0, x0 = rng.uniform(8, s - 8), s / 2 + rng.uniform(-4, 4)
    if kind == 1:
        for _ in range(rng.integers(2, 5)):
            py, px = y0 + rng.normal(0, 3), x0 + rng.normal(0, 2.5)
            film -= depth * np.exp(-((yy - py) ** 2 + (xx - px) ** 2) / 2)
    elif kind == 2:
        path = x0 + rng.uniform(-.4, .4) * (yy - y0) + gaussian_filter(rng.normal(0, 2, s), 1.2)[:, None]
        film -= depth * (np.abs(xx - path) < .9) * (np.abs(yy - y0) < rng.uniform(6, 9))
    elif kind == 3:
        a = rng.uniform(0, np.pi)
        u, v = np.cos(a) * (xx - x0) + np.sin(a) * (yy - y0), np.cos(a) * (yy - y0) - np.sin(a) * (xx - x0)
        film -= depth * ((u / rng.uniform(4, 5.5)) ** 2 + (v / rng.uniform(1.8, 2.6)) ** 2 < 1)
    elif kind == 4:
        side = rng.choice([-1, 1])
        film -= depth * np.exp(-((xx - centre - side * width) / 1.3) ** 2) * (np.abs(yy - y0) < rng.uniform(6, 10))
    film = gaussian_filter(film, .6) + rng.normal(0, 9, film.shape)
    return np.clip(film, 0, 255).astype(np.uint8)


class FilmSet(Dataset):
    """Films in memory as float32 in 0..1; `mean` and `std` are those of the training films."""

    def __init__(self, n, cfg, rng, flip=False, stats=None):
        kinds = rng.integers(len(KINDS), size=n)
        films = np.stack([radiograph(k, rng, cfg.size) for k in kinds])
        self.films = torch.from_numpy(films).float().div_(255).unsqueeze(1)
        self.kinds = torch.from_numpy(kinds)
        self.flip = flip
        self.mean, self.std = stats or (self.films.mean().item(), self.films.std().item())

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        film = self.films[i]
        film.sub_(self.mean).div_(self.std)
        if self.flip:
            if random.random() < .5:
                film = film.flip(-1)
            if random.random() < .5:
                film = film.flip(-2)
        return film, self.kinds[i]


def make_net():
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*stage(1, 16), *stage(16, 32), *stage(32, 48), nn.Flatten(),
                         nn.Dropout(.2), nn.Linear(48 * 9, len(KINDS)))


@torch.no_grad()
def hit_rate(net, loader):
    net.eval()
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main(cfg):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(cfg.seed)

    train = FilmSet(cfg.n_train, cfg, rng, flip=True)
    stats = (train.mean, train.std)
    val = FilmSet(cfg.n_val, cfg, rng, stats=stats)
    test = FilmSet(cfg.n_test, cfg, rng, stats=stats)
    train_loader = DataLoader(train, cfg.batch, shuffle=True)
    val_loader, test_loader = DataLoader(val, 100), DataLoader(test, 100)

    net = make_net()
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs)
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.
        for x, y in train_loader:
            opt.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
        sched.step()
        print(f"epoch {epoch + 1}: loss {total / len(train):.3f}  val {hit_rate(net, val_loader):.3f}")
    print(f"test hit rate {hit_rate(net, test_loader):.4f}")


if __name__ == "__main__":
    main(Config())
