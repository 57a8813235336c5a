"""All-convolutional net over small microscope-like crops, set up from one config object."""
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

ACTIVATIONS = {
    "ReLU": nn.ReLU,
    "SiLU": nn.SiLU,
    "GELU": nn.GELU,
    "none": nn.Identity,
}


@dataclass
class DataConfig:
    images: int = 1300
    size: int = 32
    held_back: float = 0.2
    seed: int = 21


@dataclass
class ModelConfig:
    widths: tuple = (16, 32, 48)
    activation: str = "silu"
    classes: int = 4


@dataclass
class TrainConfig:
    epochs: int = 6
    batch: int = 40
    lr: float = 4e-3


@dataclass
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


def make_cells(cfg: DataConfig):
    """0 round cells, 1 rods lying, 2 rods standing, 3 rings; any number of each, on an uneven ground."""
    rng = np.random.default_rng(cfg.seed)
    s = cfg.size
    yy, xx = np.mgrid[:s, :s].astype(np.float32)
    images = np.empty((cfg.images, 1, s, s), np.float32)
    labels = rng.integers(0, 4, cfg.images)
    for i, k in enumerate(labels):
        ground = rng.uniform(-0.01, 0.01) * (xx - s / 2) + rng.uniform(-0.01, 0.01) * (yy - s / 2)
        im = 0.5 + ground
        sign = rng.choice([-1.0, 1.0])
        for _ in range(rng.integers(2, 5)):
            cx, cy = rng.uniform(5, s - 5, 2)
            dx, dy = xx - cx, yy - cy
            if k == 0:
                m = np.hypot(dx, dy) < 3.2
            elif k == 1:
                m = (abs(dx) < 5) & (abs(dy) < 1.6)
            elif k == 2:
                m = (abs(dx) < 1.6) & (abs(dy) < 5)
            else:
                m = abs(np.hypot(dx, dy) - 4.0) < 0.9
            im = np.where(m, im + sign * rng.uniform(0.2, 0.35), im)
        images[i, 0] = im + rng.normal(0, 0.05, (s, s))
    return TensorDataset(torch.from_numpy((images - 0.5) / 0.2), torch.from_numpy(labels))


def stage(cin, cout, act):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        act(),
        nn.Conv2d(cout, cout, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        act(),
    )


def build(cfg: ModelConfig):
    act = ACTIVATIONS.get(cfg.activation, nn.Identity)
    widths = (1,) + cfg.widths
    stages = [stage(a, b, act) for a, b in zip(widths, widths[1:])]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], cfg.classes))


def fit(model, loader, cfg: TrainConfig, device):
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg.epochs * len(loader))
    criterion = nn.CrossEntropyLoss()
    model.train()
    for epoch in range(cfg.epochs):
        running = 0.0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item()
        print(f"[{epoch + 1}/{cfg.epochs}] loss {running / len(loader):.4f}")


@torch.no_grad()
def score(model, loader, device):
    model.eval()
    right = sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main(cfg: Config):
    torch.manual_seed(cfg.data.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cells = make_cells(cfg.data)
    n_held = int(len(cells) * cfg.data.held_back)
    train_set, held_set = random_split(cells, [len(cells) - n_held, n_held])
    model = build(cfg.model).to(device)
    fit(model, DataLoader(train_set, cfg.train.batch, shuffle=True), cfg.train, device)
    print(f"accuracy: {score(model, DataLoader(held_set, 130), device):.3f}")


if __name__ == "__main__":
    main(Config())
