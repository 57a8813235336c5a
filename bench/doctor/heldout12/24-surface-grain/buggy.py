"""Surface inspection: five kinds of grain, told apart by the statistics of a small conv stack.

The position of a texture element carries no information, so the maps are summarised by the mean and the
spread of every channel ("statistics pooling", as in speaker-ID x-vectors) instead of being flattened.
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["brushed", "checked", "mottled", "pitted", "ringed"]


@dataclass
class Setup:
    size: int = 32
    n_train: int = 1300
    n_val: int = 300
    n_test: int = 400
    batch: int = 50
    epochs: int = 9
    lr: float = 4e-3
    wd: float = 1e-4
    seed: int = 11


def draw(kind, size, rng):
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    a = rng.uniform(0, math.pi)
    u, v = xx * math.cos(a) + yy * math.sin(a), -xx * math.sin(a) + yy * math.cos(a)
    period = rng.uniform(4.5, 9.0)
    if kind == 0:
        t = np.sin(2 * math.pi * u / period + rng.uniform(0, 6.28))
    elif kind == 1:
        t = np.sign(np.sin(2 * math.pi * u / period) * np.sin(2 * math.pi * v / period))
    elif kind == 2:
        t = ndimage.gaussian_filter(rng.normal(size=(size, size)), rng.uniform(1.2, 2.2))
    elif kind == 3:
        t = -ndimage.gaussian_filter((rng.random((size, size)) < 0.04).astype(float), rng.uniform(0.8, 1.3))
    else:
        cx, cy = rng.uniform(0, size, 2)
        t = np.sin(2 * math.pi * np.hypot(xx - cx, yy - cy) / period)
    t = (t - t.mean()) / (t.std() + 1e-6)
    light = rng.uniform(-0.3, 0.3) * (u / size) + rng.uniform(0.35, 0.65)
    grey = light + rng.uniform(0.07, 0.18) * t + rng.normal(0, rng.uniform(0.04, 0.09), (size, size))
    img = grey[None] * rng.uniform(0.8, 1.2, (3, 1, 1)) + rng.normal(0, 0.02, (3, size, size))
    if rng.random() < 0.03:  # the lamp mirrored in the metal
        gx, gy = rng.uniform(0, size, 2)
        img += rng.uniform(0.5, 2.0) * np.exp(-((xx - gx) ** 2 + (yy - gy) ** 2) / rng.uniform(10, 50))
    return np.clip(img, 0, 1)


def make_split(n, size, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(KINDS), n)
    x = np.stack([draw(k, size, rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class StatsPool(nn.Module):
    """(B, C, H, W) -> (B, 2C): per-channel mean and standard deviation over the map."""

    def forward(self, x):
        x = x.flatten(2)
        mean = x.mean(-1)
        var = x.square().mean(-1) - mean.square()
        return torch.cat([mean, var.clamp(min=1e-5).sqrt()], dim=1)


def unit(c_in, c_out, stride):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


class EdgeStem(nn.Module):
    """A learned colour mix, and beside it the gradient magnitude (Sobel) of every mixed channel."""

    def __init__(self, c_in, c_mix):
        super().__init__()
        self.mix = nn.Conv2d(c_in, c_mix, 1)
        sobel = torch.tensor([[-1., 0., 1.], [-2., 0., 2.], [-1., 0., 1.]]) / 4
        self.register_buffer("kernels", torch.stack([sobel, sobel.t()]).unsqueeze(1).repeat(c_mix, 1, 1, 1))
        self.c_mix = c_mix

    def forward(self, x):
        x = self.mix(x)
        g = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.kernels, groups=self.c_mix)
        g = g.unflatten(1, (self.c_mix, 2))
        return torch.cat([x, g.square().sum(2).sqrt()], dim=1)


class GrainNet(nn.Module):
    def __init__(self, n_kinds):
        super().__init__()
        self.stem = EdgeStem(3, 3)
        self.body = nn.Sequential(unit(6, 20, 2), unit(20, 32, 1), unit(32, 32, 2))
        self.pool = StatsPool()
        self.head = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, n_kinds))

    def forward(self, x):
        return self.head(self.pool(self.body(self.stem(x))))


class Experiment:
    def __init__(self, s: Setup):
        torch.manual_seed(s.seed)
        self.s = s
        splits = [make_split(n, s.size, s.seed + 100 * i) for i, n in enumerate((s.n_train, s.n_val, s.n_test))]
        mu, sd = (f(splits[0][0], dim=(0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
        sets = [TensorDataset((x - mu) / sd, y) for x, y in splits]
        gen = torch.Generator().manual_seed(s.seed)
        self.train_dl = DataLoader(sets[0], s.batch, shuffle=True, generator=gen)
        self.val_dl, self.test_dl = DataLoader(sets[1], 200), DataLoader(sets[2], 200)
        self.net = GrainNet(len(KINDS))
        self.loss = nn.CrossEntropyLoss()
        matrices = [p for p in self.net.parameters() if p.ndim > 1]
        others = [p for p in self.net.parameters() if p.ndim <= 1]
        self.opt = torch.optim.AdamW([{"params": matrices, "weight_decay": s.wd},
                                      {"params": others, "weight_decay": 0.0}], lr=s.lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, s.epochs)

    def train_epoch(self):
        self.net.train()
        total, seen = 0.0, 0
        for x, y in self.train_dl:
            self.opt.zero_grad(set_to_none=True)
            loss = self.loss(self.net(x), y)
            loss.backward()
            self.opt.step()
            total += loss.item() * len(y)
            seen += len(y)
        self.sched.step()
        return total / seen

    @torch.no_grad()
    def score(self, dl):
        self.net.eval()
        hits = sum((self.net(x).argmax(1) == y).sum().item() for x, y in dl)
        return hits / len(dl.dataset)

    def run(self):
        for e in range(self.s.epochs):
            loss = self.train_epoch()
            print(f"[{e + 1:2d}/{self.s.epochs}] loss {loss:.4f}  val {self.score(self.val_dl):.3f}")
        print(f"test accuracy after the last epoch: {self.score(self.test_dl):.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    Experiment(Setup()).run()
