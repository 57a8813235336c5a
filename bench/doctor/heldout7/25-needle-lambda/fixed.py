import math
import random
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    sectors: int = 8
    n_train: int = 1200
    n_test: int = 320
    size: int = 32
    batch: int = 40
    epochs: int = 5
    peak_lr: float = 3e-3
    weight_decay: float = 1e-2
    warmup: int = 20
    seed: int = 11


def draw_dial(sector, cfg, rng):
    """A dial whose needle lies in one of the equal sectors of the full circle."""
    scale = 3
    s = cfg.size * scale
    im = Image.new("L", (s, s), rng.randint(150, 230))
    d = ImageDraw.Draw(im)
    cx, cy = s / 2 + rng.uniform(-8, 8), s / 2 + rng.uniform(-8, 8)
    r = rng.uniform(0.34, 0.42) * s
    d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=rng.randint(0, 70), width=scale, fill=rng.randint(200, 255))
    for k in range(16):
        a = 2 * math.pi * k / 16
        d.line([cx + 0.86 * r * math.cos(a), cy + 0.86 * r * math.sin(a),
                cx + 0.98 * r * math.cos(a), cy + 0.98 * r * math.sin(a)], fill=90, width=2)
    width = 2 * math.pi / cfg.sectors
    a = (sector + rng.uniform(0.08, 0.92)) * width
    tip = rng.uniform(0.6, 0.85) * r
    d.line([cx - 0.2 * r * math.cos(a), cy - 0.2 * r * math.sin(a),
            cx + tip * math.cos(a), cy + tip * math.sin(a)], fill=rng.randint(0, 90), width=rng.randint(3, 7))
    d.ellipse([cx - 5, cy - 5, cx + 5, cy + 5], fill=40)
    return im.resize((cfg.size, cfg.size), Image.BILINEAR)


class Dials(Dataset):
    def __init__(self, n, cfg, seed):
        rng = random.Random(seed)
        noise = np.random.default_rng(seed)
        self.items = []
        for i in range(n):
            label = i % cfg.sectors
            arr = np.asarray(draw_dial(label, cfg, rng), dtype=np.float32) / 255
            arr = arr + noise.normal(0, 0.05, arr.shape).astype(np.float32)
            self.items.append((torch.from_numpy((arr - 0.8) / 0.2).unsqueeze(0), label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.skip(x))


def build_model(cfg):
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 32, 2), Block(32, 48, 2),
        nn.Flatten(), nn.Linear(48 * (cfg.size // 8) ** 2, cfg.sectors),
    )


def build_optim(model, cfg, total):
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.peak_lr, weight_decay=cfg.weight_decay)

    def rate(step):
        if step < cfg.warmup:
            return (step + 1) / cfg.warmup
        t = (step - cfg.warmup) / max(1, total - cfg.warmup)
        return 0.5 * (1 + math.cos(math.pi * t))

    return opt, torch.optim.lr_scheduler.LambdaLR(opt, rate)


def run_epoch(model, loader, opt, sched, device):
    model.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


@torch.no_grad()
def accuracy(model, loader, device):
    model.eval()
    hits = sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main():
    cfg = Config()
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train = DataLoader(Dials(cfg.n_train, cfg, 1), cfg.batch, shuffle=True)
    test = DataLoader(Dials(cfg.n_test, cfg, 2), 200)
    model = build_model(cfg).to(device)
    opt, sched = build_optim(model, cfg, cfg.epochs * len(train))
    for epoch in range(cfg.epochs):
        print(f"epoch {epoch + 1} train loss {run_epoch(model, train, opt, sched, device):.4f}")
    print(f"accuracy: {accuracy(model, test, device):.3f}")


if __name__ == "__main__":
    main()
