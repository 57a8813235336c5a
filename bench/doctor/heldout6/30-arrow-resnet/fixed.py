import math
import random
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, RandomSampler, random_split


@dataclass
class DataConfig:
    size: int = 32
    directions: int = 8
    n_images: int = 1400
    holdout: float = 0.15
    n_test: int = 300


@dataclass
class OptimConfig:
    lr: float = 3e-3
    weight_decay: float = 0.05
    epochs: int = 6
    samples_per_epoch: int = 1000
    batch_size: int = 40


@dataclass
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    widths: tuple = (16, 24, 40)
    seed: int = 0


class Arrows(Dataset):
    """Road-sign style arrows pointing in one of eight directions."""

    def __init__(self, n, cfg, seed):
        rnd = random.Random(seed)
        self.labels = [rnd.randrange(cfg.directions) for _ in range(n)]
        self.images = [self.draw(c, cfg, rnd) for c in self.labels]

    @staticmethod
    def draw(label, cfg, rnd):
        s = cfg.size
        ground = [rnd.randint(0, 255) for _ in range(3)]
        ink = [v - rnd.randint(90, 120) if v > 127 else v + rnd.randint(90, 120) for v in ground]
        im = Image.new("RGB", (s, s), tuple(ground))
        pen = ImageDraw.Draw(im)
        a = 2 * math.pi * label / cfg.directions + rnd.gauss(0, 0.08)
        cx, cy = s / 2 + rnd.uniform(-4, 4), s / 2 + rnd.uniform(-4, 4)
        r = rnd.uniform(8, 11)
        ux, uy = math.cos(a), math.sin(a)
        tip, tail = (cx + r * ux, cy + r * uy), (cx - r * ux, cy - r * uy)
        pen.line([tail, tip], fill=tuple(ink), width=2)
        for turn in (2.5, -2.5):
            wing = (tip[0] + 6 * math.cos(a + turn), tip[1] + 6 * math.sin(a + turn))
            pen.line([tip, wing], fill=tuple(ink), width=2)
        noise = np.random.default_rng(rnd.getrandbits(30)).normal(0, 10, (s, s, 3))
        arr = np.clip(np.asarray(im) + noise, 0, 255).astype(np.float32) / 255
        return torch.from_numpy(arr.transpose(2, 0, 1).copy()).sub(0.5).div(0.28)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride != 1 or cin != cout:
            self.down = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = x if self.down is None else self.down(x)
        return self.relu(out + identity)


class ArrowNet(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(
            BasicBlock(widths[0], widths[0], 1),
            BasicBlock(widths[0], widths[1], 2),
            BasicBlock(widths[1], widths[2], 2))
        self.fc = nn.Linear(widths[2] * 4 * 4, classes)

    def forward(self, x):
        return self.fc(self.stages(self.stem(x)).flatten(1))


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    correct = 0
    for x, y in loader:
        correct += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return correct / len(loader.dataset)


def fit(cfg):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, test_set = Arrows(cfg.data.n_images, cfg.data, 100), Arrows(cfg.data.n_test, cfg.data, 200)
    n_train = int(len(images) * (1 - cfg.data.holdout))
    train_set, val_set = random_split(images, [n_train, len(images) - n_train])
    sampler = RandomSampler(train_set, replacement=True, num_samples=cfg.optim.samples_per_epoch)
    train_loader = DataLoader(train_set, cfg.optim.batch_size, sampler=sampler)
    val_loader = DataLoader(val_set, 100)
    test_loader = DataLoader(test_set, 100)

    model = ArrowNet(cfg.widths, cfg.data.directions).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.optim.lr, weight_decay=cfg.optim.weight_decay)
    total = cfg.optim.epochs * len(train_loader)
    warmup = len(train_loader) // 2
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * s / total)))
    criterion = nn.CrossEntropyLoss()

    for epoch in range(cfg.optim.epochs):
        model.train()
        loss_sum, correct = 0.0, 0
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss = criterion(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss_sum += loss.item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()
        n = cfg.optim.samples_per_epoch
        print(f"epoch {epoch + 1}  loss {loss_sum / n:.3f}  train {correct / n:.3f}  "
              f"val {evaluate(model, val_loader, device):.3f}")
    return evaluate(model, test_loader, device)


if __name__ == "__main__":
    print(f"accuracy: {fit(Config()):.3f}")
