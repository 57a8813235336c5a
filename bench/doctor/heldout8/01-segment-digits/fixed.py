"""Reads single digits of a seven-segment display."""
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SEGMENTS = {
    0: "abcdef", 1: "bc", 2: "abged", 3: "abgcd", 4: "fgbc",
    5: "afgcd", 6: "afgedc", 7: "abc", 8: "abcdefg", 9: "abcdfg",
}
LINES = {
    "a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1),
}


@dataclass
class Config:
    size: int = 28
    n_train: int = 1500
    n_test: int = 500
    batch_size: int = 50
    epochs: int = 6
    lr: float = 0.03
    momentum: float = 0.9
    seed: int = 7


def render(digit, size, rng):
    canvas = Image.new("L", (size, size), rng.randint(0, 60))
    draw = ImageDraw.Draw(canvas)
    w, h = rng.uniform(7, 11), rng.uniform(7, 10)
    x0 = rng.uniform(3, size - w - 3)
    y0 = rng.uniform(2, size - 2 * h - 2)
    slant = rng.uniform(-2, 2)
    ink = rng.randint(130, 255)
    for name in SEGMENTS[digit]:
        ax, ay, bx, by = LINES[name]
        draw.line(
            (x0 + ax * w + slant * (1 - ay), y0 + ay * h, x0 + bx * w + slant * (1 - by), y0 + by * h),
            fill=ink, width=rng.choice([2, 2, 3]),
        )
    return np.asarray(canvas, dtype=np.float32) / 255.0


def make_split(n, size, seed):
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    labels = [i % 10 for i in range(n)]
    rng.shuffle(labels)
    images = np.stack([render(d, size, rng) for d in labels])
    images += noise.normal(0, 0.08, images.shape).astype(np.float32)
    return torch.from_numpy(images).unsqueeze(1), torch.tensor(labels)


class DigitNet(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, n_classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))

    def predict_proba(self, x):
        return self.forward(x).softmax(dim=1)


class Trainer:
    def __init__(self, cfg, net, train_loader, test_loader):
        self.cfg = cfg
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.net = net.to(self.device)
        self.train_loader = train_loader
        self.test_loader = test_loader
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, cfg.epochs)

    def _forward(self, batch):
        images, labels = (t.to(self.device) for t in batch)
        scores = self.net(images)
        return scores, labels

    def train_epoch(self):
        self.net.train()
        total, hits, seen = 0.0, 0, 0
        for batch in self.train_loader:
            scores, labels = self._forward(batch)
            loss = self.criterion(scores, labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(labels)
            hits += (scores.argmax(1) == labels).sum().item()
            seen += len(labels)
        self.scheduler.step()
        return total / seen, hits / seen

    @torch.no_grad()
    def test(self):
        self.net.eval()
        hits, seen = 0, 0
        for batch in self.test_loader:
            scores, labels = self._forward(batch)
            hits += (scores.argmax(1) == labels).sum().item()
            seen += len(labels)
        return hits / seen

    def fit(self):
        for epoch in range(self.cfg.epochs):
            loss, acc = self.train_epoch()
            print(f"epoch {epoch + 1}: loss {loss:.3f} train accuracy {acc:.3f}")
        return self.test()


def main():
    cfg = Config()
    torch.manual_seed(cfg.seed)
    x_train, y_train = make_split(cfg.n_train, cfg.size, seed=cfg.seed)
    x_test, y_test = make_split(cfg.n_test, cfg.size, seed=cfg.seed + 1)
    mean, std = x_train.mean(), x_train.std()
    train = TensorDataset((x_train - mean) / std, y_train)
    test = TensorDataset((x_test - mean) / std, y_test)
    trainer = Trainer(
        cfg, DigitNet(),
        DataLoader(train, batch_size=cfg.batch_size, shuffle=True),
        DataLoader(test, batch_size=250),
    )
    print(f"accuracy: {trainer.fit():.3f}")


if __name__ == "__main__":
    main()
