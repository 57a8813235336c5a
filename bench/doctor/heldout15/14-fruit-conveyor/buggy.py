"""Fruit sorting on a conveyor belt, trained with progressive resizing (first small, then full images)."""
import dataclasses
import time
from typing import Iterator, List, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

FRUIT = ["apple", "lemon", "banana", "plum", "pear", "tomato", "orange"]
FULL = 32
Batch = Tuple[torch.Tensor, torch.Tensor]


@dataclasses.dataclass
class Stage:
    side: int
    epochs: int
    lr: float


STAGES = [Stage(side=24, epochs=6, lr=2e-3), Stage(side=32, epochs=3, lr=1e-3)]


def photo(kind: str, rng: np.random.Generator) -> np.ndarray:
    hue = {"apple": (.75, .25, .2), "lemon": (.9, .8, .25), "banana": (.9, .78, .3), "plum": (.42, .18, .42),
           "pear": (.7, .75, .3), "tomato": (.82, .2, .15), "orange": (.92, .55, .15)}[kind]
    v, u = np.mgrid[0:FULL, 0:FULL] - FULL / 2 + rng.uniform(-3, 3, (2, 1, 1))
    a = rng.uniform(0, 2 * np.pi)
    p, q = u * np.cos(a) + v * np.sin(a), -u * np.sin(a) + v * np.cos(a)
    s = rng.uniform(7.5, 11)
    if kind == "banana":
        r = np.abs(np.hypot(p, q + 1.1 * s) - 1.2 * s) / (.32 * s) + np.maximum(0, np.abs(p) - s) / 2
    elif kind == "lemon":
        r = np.hypot(p / 1.15, q / .8) / s
        r = np.minimum(r, np.hypot((np.abs(p) - 1.1 * s) / .4, q / .35) / s)
    elif kind == "pear":
        r = np.minimum(np.hypot(p - .35 * s, q) / (.75 * s), np.hypot((p + .5 * s) / 1.3, q) / (.48 * s))
    elif kind == "plum":
        r = np.hypot(p / 1.05, q / .8) / (.85 * s)
    elif kind == "apple":
        r = np.hypot(p, q) / s / (1 - .18 * np.exp(-(np.arctan2(p, q) / .35) ** 2))
    else:
        r = np.hypot(p, q) / (s * (.95 if kind == "orange" else .9))
    body = 1 / (1 + np.exp((r - 1) * 9))
    light = rng.uniform(-.5, .5, 2)
    shade = 1 - .35 * np.clip(r, 0, 1) ** 2 + .3 * (u * light[0] + v * light[1]) / s
    colour = np.array(hue) + rng.normal(0, .06, 3)
    fruit = colour * shade[..., None]
    if kind == "apple":
        fruit = fruit + np.array([.1, .3, .05]) * np.clip(np.sin(p / s * 2 + a), 0, 1)[..., None] * rng.uniform(0, 1)
    if kind in ("apple", "pear"):
        stem = (np.abs(p if kind == "apple" else q) < .8) & ((q if kind == "apple" else -p) > .75 * s) & \
               ((q if kind == "apple" else -p) < 1.25 * s)
        fruit, body = np.where(stem[..., None], .2, fruit), np.maximum(body, stem)
    belt = rng.uniform(.15, .5) + .04 * np.sin(u * 2)[..., None]
    img = belt * (1 - body[..., None]) + fruit * body[..., None]
    img = img * rng.uniform(.6, 1.2) * (1 + rng.normal(0, .08, 3))
    return (img + rng.normal(0, .06, img.shape)).transpose(2, 0, 1).astype(np.float32)


class FruitSet:
    def __init__(self, n: int, rng: np.random.Generator):
        y = rng.integers(0, len(FRUIT), n)
        self.x = torch.from_numpy(np.stack([photo(FRUIT[i], rng) for i in y]))
        self.y = torch.from_numpy(y)

    def at(self, side: int) -> torch.Tensor:
        if side == FULL:
            return self.x
        return F.interpolate(self.x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)

    def loader(self, side: int, batch: int, shuffle: bool = False) -> Iterator[Batch]:
        x = self.at(side)
        order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
        for i in order.split(batch):
            images = x[i]
            if shuffle:                                # half of the training images mirrored
                mirror = torch.rand(len(i)) < 0.5
                images[mirror] = images[mirror].flip(-1)
            yield images, self.y[i]


class SorterNet(nn.Module):
    def __init__(self, n_classes: int, side: int = STAGES[0].side):
        super().__init__()
        grid = side // 8
        self.layer1 = self.conv(3, 16)
        self.layer2 = self.conv(16, 32)
        self.layer3 = self.conv(32, 48)
        self.fc1 = nn.Linear(48 * grid * grid, 64)
        self.fc2 = nn.Linear(64, n_classes)

    @staticmethod
    def conv(i: int, o: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def score(net: nn.Module, data: FruitSet, side: int) -> float:
    net.eval()
    with torch.no_grad():
        return sum((net(x).argmax(1) == y).sum().item() for x, y in data.loader(side, 100)) / len(data.y)


def train(net: nn.Module, stages: List[Stage], data: FruitSet, val: FruitSet) -> None:
    for stage in stages:
        optimiser = torch.optim.Adam(net.parameters(), lr=stage.lr)
        decay = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.7)
        for epoch in range(stage.epochs):
            start = time.time()
            net.train()
            for x, y in data.loader(stage.side, 32, shuffle=True):
                optimiser.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimiser.step()
            decay.step()
            print(f"{stage.side}px epoch {epoch + 1}: val {score(net, val, stage.side):.3f} ({time.time() - start:.1f} s)",
                  flush=True)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(23)
    rng = np.random.default_rng(23)
    data, val, test = FruitSet(1600, rng), FruitSet(250, rng), FruitSet(500, rng)
    mean, std = data.x.mean((0, 2, 3), keepdim=True), data.x.std((0, 2, 3), keepdim=True)
    for part in (data, val, test):
        part.x = (part.x - mean) / std
    net = SorterNet(len(FRUIT))
    train(net, STAGES, data, val)
    print(f"test accuracy at {FULL}px: {score(net, test, FULL):.4f}")


if __name__ == "__main__":
    main()
