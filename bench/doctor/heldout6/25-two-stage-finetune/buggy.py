import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

SHAPES = ["disc", "ring", "square", "triangle", "cross", "frame"]


@dataclass
class Config:
    size: int = 32
    n_pretrain: int = 320
    n_train: int = 720
    n_val: int = 300
    batch_size: int = 32
    pretrain_epochs: int = 2
    epochs: int = 6
    warmup_epochs: int = 1
    lr: float = 3e-3
    seed: int = 7


def stripes(rng, label, size):
    """Pretext images: gratings in four orientations."""
    yy, xx = np.mgrid[:size, :size]
    a = label * math.pi / 4 + rng.normal(0, 0.1)
    wave = np.sin((xx * math.cos(a) + yy * math.sin(a)) * rng.uniform(0.5, 1.1) + rng.uniform(0, 6.3))
    img = 0.5 + 0.3 * wave[None] * rng.uniform(0.3, 1, (3, 1, 1)) + rng.normal(0, 0.06, (3, size, size))
    return img.astype(np.float32)


def shape(rng, label, size):
    lo, hi = rng.integers(20, 110, 3), rng.integers(140, 235, 3)
    bg, fg = (lo, hi) if rng.random() < 0.5 else (hi, lo)
    im = Image.new("RGB", (size, size), tuple(int(v) for v in bg))
    d = ImageDraw.Draw(im)
    r = rng.uniform(5, 10)
    cx, cy = rng.uniform(r + 1, size - r - 1, 2)
    col, box = tuple(int(v) for v in fg), (cx - r, cy - r, cx + r, cy + r)
    name = SHAPES[label]
    if name == "disc":
        d.ellipse(box, fill=col)
    elif name == "ring":
        d.ellipse(box, outline=col, width=2)
    elif name == "square":
        d.rectangle(box, fill=col)
    elif name == "frame":
        d.rectangle(box, outline=col, width=2)
    elif name == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=col)
    else:
        d.line((cx - r, cy, cx + r, cy), fill=col, width=3)
        d.line((cx, cy - r, cx, cy + r), fill=col, width=3)
    img = np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, 0.08, (size, size, 3))
    return img.transpose(2, 0, 1).astype(np.float32)


class Drawn(Dataset):
    def __init__(self, n, classes, draw, size, seed):
        rng = np.random.default_rng(seed)
        self.labels = torch.from_numpy(rng.integers(0, classes, n))
        x = np.stack([draw(rng, int(c), size) for c in self.labels])
        self.images = (torch.from_numpy(x) - 0.5) / 0.25

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class Residual(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout))
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride=2, bias=False), nn.BatchNorm2d(cout))
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.body(x) + self.skip(x))


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            Residual(12, 24), Residual(24, 40), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(40, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


class Trainer:
    def __init__(self, model, train_set, val_set, cfg, epochs, warmup_epochs=0):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val_set, 100)
        self.epochs, self.warmup_epochs = epochs, warmup_epochs
        if warmup_epochs:
            self.set_backbone(trainable=False)
        params = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(params, lr=cfg.lr, weight_decay=1e-4)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs * len(self.train_loader))
        self.criterion = nn.CrossEntropyLoss()

    def set_backbone(self, trainable):
        for p in self.model.backbone.parameters():
            p.requires_grad_(trainable)

    def fit(self):
        for epoch in range(self.epochs):
            if self.warmup_epochs and epoch == self.warmup_epochs:
                self.set_backbone(trainable=True)
            self.model.train()
            running = 0.0
            for x, y in self.train_loader:
                x, y = x.to(self.device), y.to(self.device)
                loss = self.criterion(self.model(x), y)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                running += loss.item()
            print(f"epoch {epoch}: train loss {running / len(self.train_loader):.3f}, val acc {self.accuracy():.3f}")

    @torch.no_grad()
    def accuracy(self):
        self.model.eval()
        hits = [(self.model(x.to(self.device)).argmax(1).cpu() == y).float() for x, y in self.val_loader]
        return torch.cat(hits).mean().item()


def run(cfg):
    torch.manual_seed(cfg.seed)
    model = Classifier(4)
    print("pretext task: stripe orientation")
    pre_train = Drawn(cfg.n_pretrain, 4, stripes, cfg.size, cfg.seed)
    pre_val = Drawn(200, 4, stripes, cfg.size, cfg.seed + 1)
    Trainer(model, pre_train, pre_val, cfg, cfg.pretrain_epochs).fit()

    print("target task: shapes")
    model.head = nn.Linear(model.head.in_features, len(SHAPES))
    train_set = Drawn(cfg.n_train, len(SHAPES), shape, cfg.size, cfg.seed + 2)
    val_set = Drawn(cfg.n_val, len(SHAPES), shape, cfg.size, cfg.seed + 3)
    trainer = Trainer(model, train_set, val_set, cfg, cfg.epochs, cfg.warmup_epochs)
    trainer.fit()
    print(f"accuracy: {trainer.accuracy():.3f}")


if __name__ == "__main__":
    run(Config())
