"""Small ConvNeXt-style network on synthetic road signs (plate shape decides the class)."""
import math
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    classes: tuple = ("disc", "square", "diamond", "yield", "warning", "cross")
    size: int = 28
    n_train: int = 1200
    n_val: int = 240
    n_test: int = 360
    widths: tuple = (16, 40)
    depth: int = 2
    layer_scale: float = 1e-6
    batch_size: int = 40
    epochs: int = 7
    lr: float = 4e-3
    weight_decay: float = 0.05
    seed: int = 11


# ---------------------------------------------------------------- data
def polygon(n, radius, phase):
    return [(radius * math.cos(phase + 2 * math.pi * k / n), radius * math.sin(phase + 2 * math.pi * k / n)) for k in range(n)]


def draw_sign(kind, size, rng):
    s = size * 3
    bg = tuple(int(v) for v in rng.integers(10, 110, 3))
    fg = tuple(int(v) for v in rng.integers(150, 256, 3))
    im = Image.new("RGB", (s, s), bg)
    d = ImageDraw.Draw(im)
    for _ in range(2):                                    # clutter: branches, poles
        p = [int(v) for v in rng.integers(0, s, 4)]
        d.line(p, fill=tuple(int(v) for v in rng.integers(0, 180, 3)), width=int(rng.integers(1, 5)))
    r = s * rng.uniform(0.28, 0.4)
    cx, cy = rng.uniform(r, s - r, 2)
    tilt = rng.normal(0, 0.08)
    up = -math.pi / 2
    if kind == "disc":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fg)
    elif kind == "cross":
        for a in (math.pi / 4, 3 * math.pi / 4):
            dx, dy = r * math.cos(a + tilt), r * math.sin(a + tilt)
            d.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=fg, width=int(r * 0.5))
    else:
        n, phase = {"square": (4, math.pi / 4), "diamond": (4, 0.0), "yield": (3, -up), "warning": (3, up)}[kind]
        d.polygon([(cx + x, cy + y) for x, y in polygon(n, r * 1.1, phase + tilt)], fill=fg)
    a = np.asarray(im.resize((size, size), Image.BILINEAR), np.float32) / 255
    a = a * rng.uniform(0.6, 1.1) + rng.normal(0, 0.1, a.shape)
    return np.clip(a, 0, 1).transpose(2, 0, 1)


def make_split(n, cfg, rng):
    y = np.arange(n) % len(cfg.classes)
    x = np.stack([draw_sign(cfg.classes[k], cfg.size, rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


# ---------------------------------------------------------------- model
class Block(nn.Module):
    def __init__(self, dim, layer_scale):
        super().__init__()
        self.dw = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm = nn.GroupNorm(1, dim)
        self.up = nn.Conv2d(dim, 3 * dim, 1)
        self.down = nn.Conv2d(3 * dim, dim, 1)
        self.gamma = nn.Parameter(layer_scale * torch.ones(dim, 1, 1))

    def forward(self, x):
        return x + self.gamma * self.down(F.gelu(self.up(self.norm(self.dw(x)))))


class SignNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        w1, w2 = cfg.widths
        self.stem = nn.Sequential(nn.Conv2d(3, w1, 4, stride=2, padding=1), nn.GroupNorm(1, w1))
        self.stage1 = nn.Sequential(*[Block(w1, cfg.layer_scale) for _ in range(cfg.depth)])
        self.reduce = nn.Sequential(nn.GroupNorm(1, w1), nn.Conv2d(w1, w2, 2, stride=2))
        self.stage2 = nn.Sequential(*[Block(w2, cfg.layer_scale) for _ in range(cfg.depth)])
        self.norm = nn.LayerNorm(w2)
        self.head = nn.Linear(w2, len(cfg.classes))

    def forward(self, x):
        x = self.stage2(self.reduce(self.stage1(self.stem(x))))
        return self.head(self.norm(x.mean((2, 3))))


def build_optimizer(model, cfg):
    decay, no_decay = [], []
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if name == "weight" and isinstance(module, (nn.Conv2d, nn.Linear)):
                decay.append(p)
            else:
                no_decay.append(p)
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=cfg.lr)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    hits = total = 0
    for x, y in loader:
        hits += (model(x).argmax(1) == y).sum().item()
        total += len(y)
    return hits / total


def main(cfg):
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    splits = {k: make_split(n, cfg, rng) for k, n in (("train", cfg.n_train), ("val", cfg.n_val), ("test", cfg.n_test))}
    mean = splits["train"][0].mean((0, 2, 3), keepdim=True)
    std = splits["train"][0].std((0, 2, 3), keepdim=True)
    load = {k: DataLoader(TensorDataset((x - mean) / std, y), cfg.batch_size, shuffle=k == "train") for k, (x, y) in splits.items()}

    model = SignNet(cfg)
    opt = build_optimizer(model, cfg)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, cfg.lr, epochs=cfg.epochs, steps_per_epoch=len(load["train"]), pct_start=0.2)
    for epoch in range(cfg.epochs):
        model.train()
        running = 0.0
        for x, y in load["train"]:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            running += loss.item() * len(y)
        print(f"epoch {epoch + 1:2d}  loss {running / cfg.n_train:.4f}  val {accuracy(model, load['val']):.4f}")
    print(f"test accuracy: {accuracy(model, load['test']):.4f}")


if __name__ == "__main__":
    main(Config())
