"""Land-cover classification of satellite tiles; tiles with much cloud count less."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

COVERS = ("water", "forest", "crops", "town", "desert", "river")


@dataclass
class Config:
    n_train: int = 1500
    n_val: int = 400
    n_test: int = 600
    tile: int = 24
    width: int = 16
    epochs: int = 6
    batch_size: int = 50
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    seed: int = 11


def smooth(noise, k):
    for axis in (0, 1):
        noise = sum(np.roll(noise, s, axis) for s in range(-k, k + 1)) / (2 * k + 1)
    return noise / (noise.std() + 1e-6)


def make_tile(kind, n, rng):
    """Returns an RGB tile of n x n pixels in 0..1 and its cloud fraction."""
    yy, xx = np.mgrid[0:n, 0:n]
    soil = np.array([.42, .40, .28]) + rng.normal(0, .06, 3)
    green = np.array([.20, .36, .18]) + rng.normal(0, .05, 3)
    blue = np.array([.15, .25, .38]) + rng.normal(0, .05, 3)
    img = np.empty((n, n, 3))
    if kind == "water":
        img[:] = blue + .03 * smooth(rng.normal(size=(n, n)), 3)[..., None]
    elif kind == "forest":
        img[:] = green + .07 * smooth(rng.normal(size=(n, n)), 1)[..., None]
    elif kind == "crops":
        t = rng.uniform(0, np.pi)
        wave = np.sin((xx * np.cos(t) + yy * np.sin(t)) * rng.uniform(.8, 1.5) + rng.uniform(0, 6))
        img[:] = green + (wave[..., None] > 0) * (soil - green) * .6
    elif kind == "town":
        img[:] = .35 * soil + .65 * green
        for _ in range(rng.integers(10, 18)):
            r, c = rng.integers(0, n - 3, 2)
            h, w = rng.integers(2, 5, 2)
            img[r:r + h, c:c + w] = rng.uniform(.35, .75)
    elif kind == "desert":
        img[:] = soil + np.array([.12, .06, 0]) + .05 * smooth(rng.normal(size=(n, n)), 2)[..., None]
    else:
        base = green if rng.random() < .5 else soil
        img[:] = base + .05 * smooth(rng.normal(size=(n, n)), 1)[..., None]
        t = rng.uniform(0, np.pi)
        along, across = xx * np.cos(t) + yy * np.sin(t), -xx * np.sin(t) + yy * np.cos(t)
        mid = across.mean() + rng.uniform(-4, 4) + 2 * np.sin(along * rng.uniform(.2, .4))
        img[np.abs(across - mid) < rng.uniform(1.2, 2.2)] = blue
    cover = smooth(rng.normal(size=(n, n)), 3) > rng.uniform(.8, 2.4)
    img[cover] = .55 * .9 + .45 * img[cover]
    img = img * rng.uniform(.8, 1.2) + rng.normal(0, .04, img.shape)
    return img.clip(0, 1).astype(np.float32), float(cover.mean())


class Tiles(Dataset):
    def __init__(self, count, cfg, seed):
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(0, len(COVERS), count)
        pairs = [make_tile(COVERS[k], cfg.tile, rng) for k in self.targets]
        self.images = torch.from_numpy(np.stack([p[0] for p in pairs])).permute(0, 3, 1, 2).contiguous()
        self.weights = torch.tensor([max(0.3, 1 - 2 * p[1]) for p in pairs])

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return (self.images[i] - 0.35) / 0.15, int(self.targets[i]), self.weights[i]


class TileNet(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        chans = [3, width, 2 * width, 3 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(chans, chans[1:]))
        self.norms = nn.ModuleList(nn.GroupNorm(4, c) for c in chans[1:])
        self.fc = nn.Linear(chans[-1] * 2, classes)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.max_pool2d(F.relu(norm(conv(x))), 2)
        return self.fc(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        self.net = TileNet(cfg.width, len(COVERS))
        self.train_dl = DataLoader(Tiles(cfg.n_train, cfg, 1), cfg.batch_size, shuffle=True)
        self.val_dl = DataLoader(Tiles(cfg.n_val, cfg, 2), 200)
        self.test_dl = DataLoader(Tiles(cfg.n_test, cfg, 3), 200)
        decay = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        self.opt = torch.optim.SGD([{"params": decay, "weight_decay": cfg.weight_decay}, {"params": plain}],
                                   lr=cfg.lr, momentum=cfg.momentum)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.epochs)

    def criterion(self, logits, target, weight):
        per_tile = F.cross_entropy(logits, target, reduction="none")
        return (per_tile * weight).sum()

    def run_epoch(self):
        self.net.train()
        losses = []
        for x, y, w in self.train_dl:
            loss = self.criterion(self.net(x), y, w)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
        self.sched.step()
        return losses

    @torch.no_grad()
    def accuracy(self, loader):
        self.net.eval()
        hits = sum((self.net(x).argmax(1) == y).sum().item() for x, y, _ in loader)
        return hits / len(loader.dataset)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            losses = self.run_epoch()
            print(f"epoch {epoch} first {losses[0]:.3f} mean {np.mean(losses):.3f} val acc {self.accuracy(self.val_dl):.4f}")
        print(f"test acc {self.accuracy(self.test_dl):.4f}")


if __name__ == "__main__":
    Trainer(Config()).fit()
