"""Classify coloured shapes with a small CNN."""
import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ["circle", "square", "triangle", "cross", "ring", "bar"]
SIZE = 28


def draw_shape(kind, rng):
    bg = tuple(rng.randint(0, 90) for _ in range(3))
    fg = tuple(rng.randint(140, 255) for _ in range(3))
    im = Image.new("RGB", (SIZE, SIZE), bg)
    d = ImageDraw.Draw(im)
    r = rng.uniform(6, 9)
    cx = rng.uniform(r + 1, SIZE - r - 2)
    cy = rng.uniform(r + 1, SIZE - r - 2)
    box = [cx - r, cy - r, cx + r, cy + r]
    if kind == "circle":
        d.ellipse(box, fill=fg)
    elif kind == "square":
        d.rectangle(box, fill=fg)
    elif kind == "triangle":
        a = rng.uniform(0, 2 * math.pi)
        pts = [(cx + r * math.cos(a + k * 2 * math.pi / 3), cy + r * math.sin(a + k * 2 * math.pi / 3)) for k in range(3)]
        d.polygon(pts, fill=fg)
    elif kind == "cross":
        d.line([cx - r, cy, cx + r, cy], fill=fg, width=4)
        d.line([cx, cy - r, cx, cy + r], fill=fg, width=4)
    elif kind == "ring":
        d.ellipse(box, outline=fg, width=3)
    else:
        d.line([cx - r, cy - r, cx + r, cy + r], fill=fg, width=4)
    arr = np.asarray(im, dtype=np.float32) / 255.0
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 0.06, arr.shape)
    return np.clip(arr + noise, 0, 1).astype(np.float32)


def make_split(n, seed):
    rng = random.Random(seed)
    xs, ys = [], []
    for i in range(n):
        y = i % len(SHAPES)
        xs.append(draw_shape(SHAPES[y], rng))
        ys.append(y)
    x = torch.from_numpy(np.stack(xs)).permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor(ys)


class ShapeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(48 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x):
        return self.classifier(self.features(x))


class Trainer:
    def __init__(self, model, train_loader, test_loader, epochs=6, lr=0.03):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.train_loader = train_loader
        self.test_loader = test_loader
        self.epochs = epochs
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.05, reduction="sum")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)

    def train_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
            seen += len(y)
        return total / seen

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        right, seen = 0, 0
        for x, y in self.test_loader:
            x, y = x.to(self.device), y.to(self.device)
            right += (self.model(x).argmax(1) == y).sum().item()
            seen += len(y)
        return right / seen

    def fit(self):
        for epoch in range(self.epochs):
            loss = self.train_epoch()
            self.scheduler.step()
            print(f"epoch {epoch + 1}: loss {loss:.4f}")
        return self.evaluate()


def main():
    torch.manual_seed(3)
    x_train, y_train = make_split(1500, seed=10)
    x_test, y_test = make_split(360, seed=11)
    mean = x_train.mean((0, 2, 3), keepdim=True)
    std = x_train.std((0, 2, 3), keepdim=True)
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=50, shuffle=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=120)
    trainer = Trainer(ShapeNet(len(SHAPES)), train_loader, test_loader)
    print(f"accuracy: {trainer.fit():.3f}")


if __name__ == "__main__":
    main()
