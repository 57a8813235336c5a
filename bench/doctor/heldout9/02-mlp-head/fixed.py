from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    n_train: int = 1000
    n_test: int = 400
    size: int = 32
    sectors: int = 8
    channels: tuple = (16, 32, 48)
    head: list = field(default_factory=lambda: [96, 48])
    batch_size: int = 50
    epochs: int = 5
    lr: float = 4e-3
    seed: int = 11
    device: str = "cuda" if torch.cuda.is_available() else "cpu"


def draw_gauge(sector, cfg, rng):
    """A round dial whose needle points into one of the sectors."""
    big = cfg.size * 3
    img = Image.new("L", (big, big), int(rng.integers(150, 230)))
    d = ImageDraw.Draw(img)
    cx, cy = big / 2 + rng.uniform(-5, 5, 2)
    r = big * rng.uniform(0.38, 0.45)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=int(rng.integers(0, 70)), width=4)
    for k in range(cfg.sectors):
        t = 2 * np.pi * k / cfg.sectors
        c, s = np.cos(t), np.sin(t)
        d.line([cx + 0.85 * r * c, cy + 0.85 * r * s, cx + r * c, cy + r * s], fill=60, width=2)
    t = 2 * np.pi * (sector + 0.5 + rng.uniform(-0.38, 0.38)) / cfg.sectors
    c, s = np.cos(t), np.sin(t)
    needle = int(rng.integers(0, 90))
    d.line([cx - 0.2 * r * c, cy - 0.2 * r * s, cx + 0.8 * r * c, cy + 0.8 * r * s], fill=needle, width=5)
    d.ellipse([cx - 7, cy - 7, cx + 7, cy + 7], fill=needle)
    img = img.resize((cfg.size, cfg.size), Image.BILINEAR)
    a = np.asarray(img, dtype=np.float32) / 255
    return a + rng.normal(0, 0.04, a.shape).astype(np.float32)


def make_split(n, cfg, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, cfg.sectors, n)
    x = np.stack([draw_gauge(k, cfg, rng) for k in y])[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


class MLP(nn.Sequential):
    def __init__(self, in_features, widths):
        layers = []
        for width in widths:
            layers.append(nn.Linear(in_features, width))
            layers.append(nn.ReLU())
            in_features = width
        super().__init__(*layers[:-1])


class GaugeReader(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        blocks, c_in = [], 1
        for c in cfg.channels:
            blocks += [nn.Conv2d(c_in, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
            c_in = c
        self.body = nn.Sequential(*blocks, nn.Flatten())
        side = cfg.size // 2 ** len(cfg.channels)
        self.head = MLP(c_in * side * side, cfg.head + [cfg.sectors])

    def forward(self, x):
        return self.head(self.body(x))


def fit(model, loader, cfg):
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs * len(loader))
    for epoch in range(cfg.epochs):
        model.train()
        running = 0.0
        for x, y in loader:
            x, y = x.to(cfg.device), y.to(cfg.device)
            opt.zero_grad(set_to_none=True)
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            sched.step()
            running += loss.item()
        print(f"[{epoch + 1}/{cfg.epochs}] loss={running / len(loader):.3f}")


def score(model, loader, cfg):
    model.eval()
    good = 0
    with torch.inference_mode():
        for x, y in loader:
            good += (model(x.to(cfg.device)).argmax(dim=1) == y.to(cfg.device)).sum().item()
    return good / len(loader.dataset)


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    x_train, y_train = make_split(cfg.n_train, cfg, cfg.seed + 1)
    x_test, y_test = make_split(cfg.n_test, cfg, cfg.seed + 2)
    mean, std = x_train.mean(), x_train.std()
    train = DataLoader(TensorDataset((x_train - mean) / std, y_train), cfg.batch_size, shuffle=True)
    test = DataLoader(TensorDataset((x_test - mean) / std, y_test), 100)
    model = GaugeReader(cfg).to(cfg.device)
    fit(model, train, cfg)
    print(f"accuracy: {score(model, test, cfg):.3f}")
