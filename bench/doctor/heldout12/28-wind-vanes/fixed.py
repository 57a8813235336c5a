"""Reads the heading (E, N, W, S) of weather vanes on rooftop photos.

Few real photos exist per heading, so training turns each picture by a random multiple of 90 degrees;
the heading turns with it. Headings are numbered counter-clockwise, starting from east.
"""
from __future__ import annotations

import math
import random
from typing import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

HEADINGS = ("E", "N", "W", "S")
SIDE = 28
SEED = 20


def photo(heading: int, rng: np.random.Generator) -> np.ndarray:
    big = SIDE * 4
    sky = rng.uniform(90, 210)
    im = Image.new("L", (big, big), int(sky))
    d = ImageDraw.Draw(im)
    for _ in range(4):  # clouds
        x, y = rng.uniform(-20, big, 2)
        w, h = rng.uniform(15, 60, 2)
        d.ellipse([x, y, x + w, y + h], fill=int(np.clip(sky + rng.normal(0, 20), 0, 255)))
    a = heading * math.pi / 2 + rng.normal(0, 0.22)
    c, s = math.cos(a), -math.sin(a)
    cx, cy = rng.uniform(0.38, 0.62, 2) * big
    r = rng.uniform(0.2, 0.32) * big
    ink = int(np.clip(sky + rng.choice([-1, 1]) * rng.uniform(50, 90), 0, 255))
    d.line([cx - r * c, cy - r * s, cx + r * c, cy + r * s], fill=ink, width=6)
    tip = (cx + r * c, cy + r * s)
    k = rng.uniform(0.4, 0.55) * r
    d.polygon([tip, (tip[0] - k * c - 0.6 * k * s, tip[1] - k * s + 0.6 * k * c),
               (tip[0] - k * c + 0.6 * k * s, tip[1] - k * s - 0.6 * k * c)], fill=ink)
    q = rng.uniform(0.1, 0.16) * r
    d.ellipse([cx - r * c - q, cy - r * s - q, cx - r * c + q, cy - r * s + q], fill=ink)
    arr = np.asarray(im.resize((SIDE, SIDE), Image.BOX), np.float32) / 255
    return arr + rng.normal(0, 0.06, arr.shape).astype(np.float32)


class Vanes(Dataset):
    def __init__(self, count: int, seed: int, transform: Callable[[Tensor], Tensor], turn: bool = False):
        rng = np.random.default_rng(seed)
        self.heading = torch.from_numpy(rng.permutation(np.arange(count) % 4))
        self.photos = torch.from_numpy(np.stack([photo(int(h), rng) for h in self.heading]))
        self.transform = transform
        self.turn = turn

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        img, heading = self.photos[i], self.heading[i]
        if self.turn:
            quarter = random.randrange(4)
            img = torch.rot90(img, quarter, dims=(0, 1))
            heading = heading + quarter
        return self.transform(img[None]), heading % 4


class Standardise:
    def __init__(self, mean: float, std: float):
        self.mean, self.std = mean, std

    def __call__(self, img: Tensor) -> Tensor:
        return (img - self.mean) / self.std


class VaneReader(nn.Module):
    def __init__(self, width: int = 12):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(2 * width)
        self.pool = nn.MaxPool2d(2)
        self.act = nn.SiLU()
        self.fc = nn.Linear(2 * width * 9, len(HEADINGS))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.act(self.bn1(self.conv1(x))))
        x = self.pool(self.act(self.bn2(self.conv2(x))))
        x = self.pool(self.act(self.bn3(self.conv3(x))))
        return self.fc(x.flatten(1))


def fit_one_epoch(model: nn.Module, loader: DataLoader, opt, sched, criterion: nn.Module) -> tuple[float, float]:
    model.train()
    loss_sum, right, n = 0.0, 0, 0
    for images, headings in loader:
        logits = model(images)
        loss = criterion(logits, headings)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        loss_sum += loss.item() * len(images)
        right += int((logits.argmax(1) == headings).sum())
        n += len(images)
    return loss_sum / n, right / n


@torch.inference_mode()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    right = sum(int((model(images).argmax(1) == headings).sum()) for images, headings in loader)
    return right / len(loader.dataset)


def main() -> None:
    torch.set_num_threads(1)
    random.seed(SEED)
    torch.manual_seed(SEED)
    epochs, batch = 10, 32
    scale = Standardise(0.57, 0.18)
    train = DataLoader(Vanes(960, SEED, scale, turn=True), batch, shuffle=True)
    valid = DataLoader(Vanes(240, SEED + 1, scale), 120)
    test = DataLoader(Vanes(400, SEED + 2, scale), 200)

    model = VaneReader()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, epochs=epochs, steps_per_epoch=len(train))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        loss, acc = fit_one_epoch(model, train, opt, sched, criterion)
        print(f"epoch {epoch + 1:>2}  train loss {loss:.3f} acc {acc:.3f}  valid acc {accuracy(model, valid):.3f}")
    print("test accuracy", accuracy(model, test))


if __name__ == "__main__":
    main()
