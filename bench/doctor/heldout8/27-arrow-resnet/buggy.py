"""Which of eight ways does the arrow point?  Small residual network."""
from dataclasses import dataclass
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Config:
    num_images: int = 1320
    test_fraction: float = 0.2
    image_size: int = 24
    width: int = 8
    epochs: int = 5
    batch_size: int = 32
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-3
    seed: int = 11


def arrow(label, size, rng):
    angle = label * math.pi / 4 + rng.uniform(-0.25, 0.25)
    big = size * 2
    bg = rng.integers(0, 256, 3)
    fg = (bg + rng.integers(90, 166, 3)) % 256
    img = Image.new("RGB", (big, big), tuple(int(v) for v in bg))
    draw = ImageDraw.Draw(img)
    cx, cy = rng.uniform(0.4 * big, 0.6 * big, 2)
    length = rng.uniform(0.28 * big, 0.4 * big)
    dx, dy = math.cos(angle) * length, math.sin(angle) * length
    color = tuple(int(v) for v in fg)
    draw.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=color, width=int(rng.integers(2, 5)))
    for side in (-0.6, 0.6):
        hx, hy = math.cos(angle + math.pi + side) * length * 0.7, math.sin(angle + math.pi + side) * length * 0.7
        draw.line([cx + dx, cy + dy, cx + dx + hx, cy + dy + hy], fill=color, width=3)
    small = np.asarray(img.resize((size, size), Image.BILINEAR), dtype=np.float32) / 255
    return np.clip(small + rng.normal(0, 0.04, small.shape), 0, 1).transpose(2, 0, 1)


def load_data(cfg):
    rng = np.random.default_rng(cfg.seed)
    labels = np.arange(cfg.num_images) % 8
    images = np.stack([arrow(int(k), cfg.image_size, rng) for k in labels]).astype(np.float32)
    data = TensorDataset(torch.from_numpy((images - 0.5) / 0.27), torch.from_numpy(labels).long())
    n_test = int(cfg.num_images * cfg.test_fraction)
    return random_split(data, [cfg.num_images - n_test, n_test], generator=torch.Generator().manual_seed(cfg.seed))


class Residual(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, 3, 1, 1, bias=False),
            nn.BatchNorm2d(cout),
        )
        self.skip = nn.Identity()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.body(x) + self.skip(x))


class ArrowNet(nn.Module):
    def __init__(self, width, classes=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(
            Residual(width, width), Residual(width, 2 * width, 2), Residual(2 * width, 4 * width, 2))
        self.fc = nn.Linear(4 * width * 36, classes)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).flatten(1))


def param_groups(model, weight_decay):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        if name.endswith(".bias") or "bn" in name:
            no_decay.append(p)
        else:
            decay.append(p)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]


def accuracy(model, loader, device):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
            total += len(y)
    return hits / total


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_set, test_set = load_data(cfg)
    train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, 150)

    model = ArrowNet(cfg.width).to(device)
    optimizer = torch.optim.SGD(param_groups(model, cfg.weight_decay), lr=cfg.lr, momentum=cfg.momentum)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=cfg.lr, epochs=cfg.epochs, steps_per_epoch=len(train_loader))
    criterion = nn.CrossEntropyLoss()

    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        print(f"epoch {epoch}  loss {np.mean(losses):.4f}")

    print(f"accuracy: {accuracy(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
