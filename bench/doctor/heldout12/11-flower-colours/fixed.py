"""Flower sorter on a MobileNet-style network built from a small layer library."""
import time
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn


# ------------------------------------------------------------------ layers
class ConvNorm(nn.Sequential):
    """Convolution, batch norm and (optionally) ReLU6."""

    def __init__(self, cin, cout, kernel=3, stride=1, groups=1, act=True):
        layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
        if act:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, squeeze=4):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // squeeze, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // squeeze, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return x * self.gate(x)


class InvertedResidual(nn.Module):
    """Expand, filter per channel, gate, project back linearly."""

    def __init__(self, cin, cout, stride, expand):
        super().__init__()
        hidden = cin * expand
        self.expand = ConvNorm(cin, hidden, kernel=1)
        self.filter = ConvNorm(hidden, hidden, stride=stride, groups=hidden)
        self.gate = SqueezeExcite(hidden)
        self.project = nn.Sequential(
            nn.Conv2d(hidden, cout, 1, bias=False),
            nn.BatchNorm2d(cout),
        )
        self.skip = stride == 1 and cin == cout

    def forward(self, x):
        y = self.project(self.gate(self.filter(self.expand(x))))
        return x + y if self.skip else y


# ------------------------------------------------------------------ config
@dataclass
class Config:
    size: int = 24
    train: int = 1000
    val: int = 300
    test: int = 500
    batch: int = 50
    epochs: int = 7
    lr: float = 6e-3
    weight_decay: float = 1e-3
    seed: int = 21
    stem: int = 12
    # (channels, stride, expansion)
    blocks: list = field(default_factory=lambda: [(12, 1, 2), (20, 2, 3), (20, 1, 3), (32, 2, 3)])
    species: tuple = ("daisy", "poppy", "cornflower", "buttercup", "clover")


# ------------------------------------------------------------------ data
# petals, petal colour, centre colour, relative centre size
LOOK = {
    "daisy": (11, (0.92, 0.92, 0.88), (0.90, 0.75, 0.15), 0.42),
    "poppy": (4, (0.85, 0.15, 0.12), (0.12, 0.10, 0.12), 0.35),
    "cornflower": (8, (0.30, 0.35, 0.85), (0.35, 0.20, 0.55), 0.30),
    "buttercup": (5, (0.92, 0.80, 0.12), (0.80, 0.70, 0.10), 0.25),
    "clover": (9, (0.80, 0.50, 0.72), (0.90, 0.75, 0.85), 0.55),
}


def paint(name, size, rng):
    petals, petal, centre, ratio = LOOK[name]
    yy, xx = np.mgrid[0:size, 0:size]
    cy, cx = rng.uniform(8, size - 8, 2)
    r = np.hypot(yy - cy, xx - cx)
    phi = np.arctan2(yy - cy, xx - cx) + rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(4.5, 8.5)
    edge = radius * (0.75 + 0.25 * np.cos(petals * phi))
    img = np.empty((size, size, 3))
    img[:] = np.array([0.25, 0.45, 0.2]) * rng.uniform(0.6, 1.4)
    img += rng.normal(0, 0.05, (size, size, 1))
    img[r < edge] = petal
    img[r < radius * ratio] = centre
    light = rng.uniform(0.45, 1.1) * (1 + rng.normal(0, 0.22, 3))      # exposure and colour cast
    return img * light + rng.normal(0, 0.13, img.shape)


def build_split(cfg, n, rng):
    y = rng.permutation(np.arange(n) % len(cfg.species))
    x = np.stack([paint(cfg.species[k], cfg.size, rng) for k in y]).transpose(0, 3, 1, 2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


# ------------------------------------------------------------------ model and training
def build_model(cfg):
    layers, cin = [ConvNorm(3, cfg.stem)], cfg.stem
    for channels, stride, expand in cfg.blocks:
        layers.append(InvertedResidual(cin, channels, stride, expand))
        cin = channels
    layers += [ConvNorm(cin, 2 * cin, kernel=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * cin, len(cfg.species))]
    return nn.Sequential(*layers)


def build_optimiser(model, cfg):
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=cfg.lr)


@torch.inference_mode()
def evaluate(model, x, y):
    model.eval()
    return (torch.cat([model(part) for part in x.split(250)]).argmax(1) == y).float().mean().item()


def run(cfg):
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    (xt, yt), (xv, yv), (xs, ys) = (build_split(cfg, n, rng) for n in (cfg.train, cfg.val, cfg.test))
    mean, std = xt.mean((0, 2, 3), keepdim=True), xt.std((0, 2, 3), keepdim=True)
    xt, xv, xs = (xt - mean) / std, (xv - mean) / std, (xs - mean) / std

    model = build_model(cfg)
    print(f"{sum(p.numel() for p in model.parameters())} parameters in {len(list(model.parameters()))} tensors")
    optimiser = build_optimiser(model, cfg)
    steps = cfg.epochs * (cfg.train // cfg.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    start = time.perf_counter()
    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for idx in torch.randperm(cfg.train).split(cfg.batch):
            optimiser.zero_grad(set_to_none=True)
            loss = criterion(model(xt[idx]), yt[idx])
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        print(f"[{epoch + 1}/{cfg.epochs}] loss {np.mean(losses):.3f}  val {evaluate(model, xv, yv):.3f}")
    print(f"trained in {time.perf_counter() - start:.1f} s")
    print(f"test accuracy: {evaluate(model, xs, ys):.4f}")


if __name__ == "__main__":
    run(Config())
