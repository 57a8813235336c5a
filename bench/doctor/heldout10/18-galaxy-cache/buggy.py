"""Galaxy morphology with very few labelled cut-outs (48 px, one band).

The cut-outs live on disk as PNG; we have only some 30 per type, so the training leans on augmentation.
"""
import functools
import pathlib
import random
import tempfile
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset


@dataclass
class Settings:
    types: tuple = ("elliptical", "spiral", "edge_on", "ring", "merger")
    px: int = 40
    n_train: int = 26        # per type
    n_test: int = 70         # per type
    epochs: int = 32
    batch: int = 26
    lr: float = 0.05
    seed: int = 5
    workdir: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="galaxies_"))


def render(kind, px, rng):
    yy, xx = np.mgrid[:px, :px] - (px - 1) / 2.0
    x0, y0 = rng.uniform(-3, 3, 2)
    phi = rng.uniform(0, 2 * np.pi)
    u = (xx - x0) * np.cos(phi) + (yy - y0) * np.sin(phi)
    v = -(xx - x0) * np.sin(phi) + (yy - y0) * np.cos(phi)
    scale = rng.uniform(4, 6)
    if kind == "elliptical":
        img = np.exp(-np.sqrt(u ** 2 + (v / rng.uniform(0.6, 1.0)) ** 2) / scale * 1.4)
    elif kind == "spiral":
        v = v / rng.uniform(0.6, 1.0)
        r, th = np.hypot(u, v), np.arctan2(v, u)
        arms = 0.5 + 0.5 * np.cos(2 * (th - rng.choice([-1, 1]) * 2.2 * np.log(r + 1)))
        img = 0.6 * np.exp(-r / 2.0) + arms ** 2 * np.exp(-r / scale / 1.3)
    elif kind == "edge_on":
        img = np.exp(-np.abs(u) / scale / 1.2 - np.abs(v) / 1.2)
    elif kind == "ring":
        r = np.hypot(u, v / rng.uniform(0.6, 1.0))
        img = 0.7 * np.exp(-r / 1.8) + 0.7 * np.exp(-((r - 2.1 * scale) / 1.8) ** 2)
    else:
        sep = rng.uniform(4, 8)
        img = np.exp(-np.hypot(u - sep, v) / 3) + rng.uniform(0.4, 1) * np.exp(-np.hypot(u + sep, v) / 3)
    for _ in range(rng.integers(0, 4)):  # foreground stars
        sx, sy = rng.uniform(-px / 2, px / 2, 2)
        img = img + rng.uniform(0.3, 0.9) * np.exp(-((xx - sx) ** 2 + (yy - sy) ** 2) / 1.5)
    img = rng.uniform(110, 190) * img / img.max() + 20 + rng.normal(0, 13, img.shape)
    return Image.fromarray(img.clip(0, 255).astype(np.uint8))


def write_survey(cfg):
    rng = np.random.default_rng(cfg.seed)
    for part, n in (("train", cfg.n_train), ("test", cfg.n_test)):
        for kind in cfg.types:
            folder = pathlib.Path(cfg.workdir, part, kind)
            folder.mkdir(parents=True)
            for k in range(n):
                render(kind, cfg.px, rng).save(folder / f"{k:04d}.png")


class Cutouts(Dataset):
    def __init__(self, cfg, part, augment):
        self.cfg, self.augment = cfg, augment
        self.files = sorted(pathlib.Path(cfg.workdir, part).glob("*/*.png"))

    def __len__(self):
        return len(self.files)

    def read(self, i):
        path = self.files[i]
        with Image.open(path) as im:
            return im.convert("L"), self.cfg.types.index(path.parent.name)

    @functools.lru_cache(maxsize=None)   # decoding PNGs was half of the epoch time
    def prepare(self, i):
        im, label = self.read(i)
        if self.augment:
            shift = (random.uniform(-4, 4), random.uniform(-4, 4))
            im = im.rotate(random.uniform(0, 360), Image.BILINEAR, translate=shift, fillcolor=20)
            if random.random() < 0.5:
                im = im.transpose(Image.FLIP_LEFT_RIGHT)
        x = torch.from_numpy(np.array(im, dtype=np.float32))[None]
        if self.augment:
            x = x * random.uniform(0.75, 1.3) + 8 * torch.randn_like(x)
        return (x - 45.0) / 40.0, label

    def __getitem__(self, i):
        return self.prepare(i)


class Res(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.c1 = nn.Conv2d(a, b, 3, 2, 1, bias=False)
        self.n1 = nn.BatchNorm2d(b)
        self.c2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(b)
        self.skip = nn.Conv2d(a, b, 1, 2, bias=False)

    def forward(self, x):
        h = self.n2(self.c2(F.relu(self.n1(self.c1(x)))))
        return F.relu(h + self.skip(x))


class GalaxyNet(nn.Module):
    def __init__(self, n_types):
        super().__init__()
        self.stages = nn.Sequential(nn.Conv2d(1, 12, 3, 1, 1), nn.ReLU(), Res(12, 16), Res(16, 32), Res(32, 48))
        self.out = nn.Linear(48, n_types)

    def forward(self, x):
        return F.log_softmax(self.out(self.stages(x).mean((2, 3))), dim=1)


def run(cfg):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    write_survey(cfg)
    train = DataLoader(Cutouts(cfg, "train", augment=True), cfg.batch, shuffle=True)
    test = DataLoader(Cutouts(cfg, "test", augment=False), 70)
    net = GalaxyNet(len(cfg.types))
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9, weight_decay=1e-4, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, cfg.lr, epochs=cfg.epochs, steps_per_epoch=len(train))
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.0
        for x, y in train:
            loss = F.nll_loss(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1:3d}  nll {total / len(train):.3f}")
    net.eval()
    with torch.no_grad():
        right = sum((net(x).argmax(1) == y).sum().item() for x, y in test)
    return right / len(test.dataset)


if __name__ == "__main__":
    print("test accuracy", run(Settings()))
