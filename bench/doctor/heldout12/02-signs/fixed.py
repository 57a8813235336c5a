import math
import random
from dataclasses import dataclass, field
from typing import List, Tuple, Type

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, random_split


# ----------------------------------------------------------------------------- config
@dataclass
class DataConfig:
    size: int = 30
    n_train: int = 1500
    n_val: int = 300
    n_test: int = 500
    mean: Tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: Tuple[float, float, float] = (0.25, 0.25, 0.25)


@dataclass
class ModelConfig:
    stem: int = 12
    stages: List[int] = field(default_factory=lambda: [20, 40])
    head: List[int] = field(default_factory=list)
    dropout: float = 0.1


@dataclass
class TrainConfig:
    epochs: int = 7
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 5


@dataclass
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


# ----------------------------------------------------------------------------- data
SIGNS = ["stop", "yield", "no_entry", "priority", "parking", "crossing", "warning", "limit"]


def ngon(cx, cy, r, n, rot):
    return [(cx + r * math.cos(rot + 2 * math.pi * k / n), cy + r * math.sin(rot + 2 * math.pi * k / n))
            for k in range(n)]


def draw_sign(name: str, size: int, rnd: random.Random) -> Image.Image:
    s = size * 3
    shade = lambda *c: tuple(max(0, min(255, int(v + rnd.gauss(0, 22)))) for v in c)
    im = Image.new("RGB", (s, s), shade(*rnd.choice([(110, 130, 150), (90, 120, 80), (140, 130, 120)])))
    d = ImageDraw.Draw(im)
    for _ in range(6):  # clutter
        x, y, w = rnd.uniform(0, s), rnd.uniform(0, s), rnd.uniform(5, 22)
        d.rectangle([x, y, x + w, y + w * rnd.uniform(0.5, 2)], fill=shade(110, 110, 100))
    r = s * rnd.uniform(0.24, 0.38)
    cx, cy = s / 2 + rnd.uniform(-9, 9), s / 2 + rnd.uniform(-9, 9)
    tilt = rnd.gauss(0, 0.12)
    red, white, blue, yellow = shade(175, 40, 45), shade(215, 215, 215), shade(45, 75, 165), shade(215, 180, 45)
    disc = lambda q, c: d.ellipse([cx - q, cy - q, cx + q, cy + q], fill=c)
    if name == "stop":
        d.polygon(ngon(cx, cy, r, 8, tilt + math.pi / 8), fill=red)
        d.rectangle([cx - .6 * r, cy - .15 * r, cx + .6 * r, cy + .15 * r], fill=white)
    elif name == "no_entry":
        disc(r, red)
        d.rectangle([cx - .65 * r, cy - .18 * r, cx + .65 * r, cy + .18 * r], fill=white)
    elif name == "limit":
        disc(r, red)
        disc(.7 * r, white)
        d.rectangle([cx - .3 * r, cy - .3 * r, cx + .3 * r, cy + .3 * r], fill=shade(40, 40, 40))
    elif name in ("yield", "warning"):
        rot = math.pi / 2 if name == "yield" else -math.pi / 2
        d.polygon(ngon(cx, cy, r, 3, tilt + rot), fill=red)
        d.polygon(ngon(cx, cy, .58 * r, 3, tilt + rot), fill=white)
    elif name == "priority":
        d.polygon(ngon(cx, cy, r, 4, tilt), fill=white)
        d.polygon(ngon(cx, cy, .7 * r, 4, tilt), fill=yellow)
    else:
        d.polygon(ngon(cx, cy, 1.15 * r, 4, tilt + math.pi / 4), fill=blue)
        if name == "crossing":
            d.polygon(ngon(cx, cy + .1 * r, .6 * r, 3, tilt - math.pi / 2), fill=white)
        else:
            d.rectangle([cx - .3 * r, cy - .5 * r, cx - .08 * r, cy + .5 * r], fill=white)
            d.rectangle([cx - .3 * r, cy - .5 * r, cx + .3 * r, cy + .05 * r], fill=white)
    return im.filter(ImageFilter.GaussianBlur(rnd.uniform(0.5, 3.0))).resize((size, size), Image.BILINEAR)


class SignDataset(Dataset):
    def __init__(self, cfg: DataConfig, n: int, seed: int):
        rnd, rng = random.Random(seed), np.random.default_rng(seed)
        self.labels = [rnd.randrange(len(SIGNS)) for _ in range(n)]
        x = np.stack([np.asarray(draw_sign(SIGNS[k], cfg.size, rnd), np.float32) / 255 for k in self.labels])
        x = x * rng.uniform(0.5, 1.2, (n, 1, 1, 1)) + rng.normal(0, 0.06, x.shape)
        x = (np.clip(x, 0, 1) - np.array(cfg.mean)) / np.array(cfg.std)
        self.images = torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2).contiguous()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


# ----------------------------------------------------------------------------- layers
class ConvUnit(nn.Sequential):
    def __init__(self, c_in: int, c_out: int, stride: int = 1, act: Type[nn.Module] = nn.ReLU):
        super().__init__(nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), act())


class Residual(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.body = nn.Sequential(ConvUnit(c, c), nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


def dense_stack(widths: List[int], dropout: float, act: Type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Fully connected layers widths[0] -> ... -> widths[-1]."""
    layers: List[nn.Module] = []
    for a, b in zip(widths[:-1], widths[1:]):
        layers += [nn.Dropout(dropout), nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


class SignNet(nn.Module):
    def __init__(self, cfg: ModelConfig, n_classes: int):
        super().__init__()
        blocks: List[nn.Module] = [ConvUnit(3, cfg.stem)]
        c = cfg.stem
        for width in cfg.stages:
            blocks += [ConvUnit(c, width, stride=2), Residual(width)]
            c = width
        self.features = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = dense_stack([4 * c, *cfg.head, n_classes], cfg.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.features(x)).flatten(1))


# ----------------------------------------------------------------------------- run
@torch.inference_mode()
def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main(cfg: Config = Config()) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(cfg.train.seed)
    d, t = cfg.data, cfg.train
    train_set, val_set = random_split(SignDataset(d, d.n_train + d.n_val, seed=100), [d.n_train, d.n_val])
    train = DataLoader(train_set, t.batch_size, shuffle=True, drop_last=True)
    val, test = DataLoader(val_set, 256), DataLoader(SignDataset(d, d.n_test, seed=200), 256)

    model = SignNet(cfg.model, len(SIGNS))
    opt = torch.optim.AdamW([
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": t.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ], lr=t.lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, t.lr, epochs=t.epochs, steps_per_epoch=len(train))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(t.epochs):
        model.train()
        total = 0.0
        for x, y in train:
            loss = criterion(model(x), y)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"[{epoch + 1}/{t.epochs}] loss={total / len(train):.3f} val_acc={accuracy(model, val):.3f}")
    print(f"test_acc={accuracy(model, test):.4f}")


if __name__ == "__main__":
    main()
