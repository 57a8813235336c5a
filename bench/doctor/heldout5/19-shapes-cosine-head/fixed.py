"""Metric-learning flavoured classifier: embedding + cosine head, on outline drawings."""
from dataclasses import dataclass
import math
import random

import numpy as np
from PIL import Image, ImageDraw
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    n_train: int = 2000
    n_test: int = 500
    epochs: int = 5
    batch: int = 50
    lr: float = 0.02
    embed: int = 64
    tau: float = 0.1
    seed: int = 5


def ngon(cx, cy, r, n, rot, step=1):
    pts = [(cx + r * math.cos(rot + 2 * math.pi * i * step / n),
            cy + r * math.sin(rot + 2 * math.pi * i * step / n)) for i in range(n)]
    return pts + pts[:2]


class Outlines(Dataset):
    NAMES = ["circle", "triangle", "square", "star", "plus"]

    def __init__(self, n, rnd):
        self.labels = [rnd.randrange(len(self.NAMES)) for _ in range(n)]
        noise = np.random.default_rng(rnd.randrange(10 ** 6))
        self.images = np.stack([self.draw(k, rnd) for k in self.labels]).astype(np.float32)
        self.images += noise.normal(0, 45, self.images.shape).astype(np.float32)
        self.images = (self.images - 40.0) / 80.0

    def draw(self, k, rnd):
        im = Image.new("L", (28, 28), 0)
        d = ImageDraw.Draw(im)
        cx, cy, r = rnd.uniform(11, 17), rnd.uniform(11, 17), rnd.uniform(7, 10)
        rot, ink = rnd.uniform(0, 2 * math.pi), rnd.randint(170, 255)
        if k == 0:
            d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=ink, width=2)
        elif k == 1:
            d.line(ngon(cx, cy, r, 3, rot), fill=ink, width=2)
        elif k == 2:
            d.line(ngon(cx, cy, r, 4, rot), fill=ink, width=2)
        elif k == 3:
            d.line(ngon(cx, cy, r, 5, rot, step=2), fill=ink, width=2)
        else:
            a, b, c, e = ngon(cx, cy, r, 4, rot)[:4]
            d.line([a, c], fill=ink, width=2)
            d.line([b, e], fill=ink, width=2)
        return np.asarray(im)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]).unsqueeze(0), self.labels[i]


class CosineHead(nn.Module):
    def __init__(self, dim, n_classes, tau):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_classes, dim))
        self.tau = tau

    def forward(self, z):
        cos = F.linear(F.normalize(z, dim=1), F.normalize(self.weight, dim=1))
        return cos / self.tau


def backbone(embed):
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
    return nn.Sequential(*stage(1, 12), nn.MaxPool2d(2), *stage(12, 24), nn.MaxPool2d(2),
                         *stage(24, 48), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(48, embed, bias=False), nn.BatchNorm1d(embed))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        rnd = random.Random(cfg.seed)
        torch.manual_seed(cfg.seed)
        self.train_loader = DataLoader(Outlines(cfg.n_train, rnd), cfg.batch, shuffle=True)
        self.test_loader = DataLoader(Outlines(cfg.n_test, rnd), 100)
        self.net = nn.Sequential(backbone(cfg.embed), CosineHead(cfg.embed, 5, cfg.tau))
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.net.train()
            for x, y in self.train_loader:
                loss = F.cross_entropy(self.net(x), y)
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
            print(f"epoch {epoch} last batch loss {loss.item():.3f}")
        return self

    @torch.no_grad()
    def score(self):
        self.net.eval()
        right = sum((self.net(x).argmax(1) == y).sum().item() for x, y in self.test_loader)
        return right / len(self.test_loader.dataset)


if __name__ == "__main__":
    print(f"accuracy: {Trainer(Config()).fit().score():.3f}")
