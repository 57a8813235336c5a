"""Classify line drawings of shapes with an encoder that is shared by the four quadrants of a picture."""
import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["circle", "square", "triangle", "plus", "cross", "star"]


def draw(name, rng, size=32):
    im = Image.new("RGB", (size, size), tuple(rng.randint(0, 90) for _ in range(3)))
    d = ImageDraw.Draw(im)
    ink = tuple(rng.randint(150, 255) for _ in range(3))
    cx, cy = size / 2 + rng.uniform(-3, 3), size / 2 + rng.uniform(-3, 3)
    r = rng.uniform(8, 12)
    w = rng.choice([2, 3])
    if name == "circle":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=ink, width=w)
    elif name == "square":
        d.rectangle([cx - r, cy - r, cx + r, cy + r], outline=ink, width=w)
    elif name == "plus":
        d.line([cx - r, cy, cx + r, cy], fill=ink, width=w)
        d.line([cx, cy - r, cx, cy + r], fill=ink, width=w)
    elif name == "cross":
        d.line([cx - r, cy - r, cx + r, cy + r], fill=ink, width=w)
        d.line([cx - r, cy + r, cx + r, cy - r], fill=ink, width=w)
    else:
        if name == "triangle":
            angles, radii = [-90, 30, 150], [r] * 3
        else:
            angles, radii = [-90 + 36 * k for k in range(10)], [r, r * 0.45] * 5
        pts = [(cx + q * math.cos(math.radians(a)), cy + q * math.sin(math.radians(a))) for a, q in zip(angles, radii)]
        d.line(pts + pts[:1], fill=ink, width=w)
    return np.asarray(im, dtype=np.uint8)


class Shapes(Dataset):
    def __init__(self, n, seed):
        rng = random.Random(seed)
        noise = np.random.default_rng(seed)
        self.items = []
        for _ in range(n):
            k = rng.randrange(len(CLASSES))
            a = draw(CLASSES[k], rng).astype(np.float32) + noise.normal(0, 10, (32, 32, 3))
            t = torch.from_numpy(a.astype(np.float32)).permute(2, 0, 1) / 255.0
            self.items.append(((t - 0.4) / 0.3, k))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class QuadrantNet(nn.Module):
    """The same small encoder looks at every quadrant; a linear head joins what it saw."""

    def __init__(self, classes, width=24):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * 16, 48), nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Linear(4 * 48, 64), nn.ReLU(inplace=True), nn.Linear(64, classes))

    def forward(self, x):
        b, _, h, w = x.shape
        h, w = h // 2, w // 2
        quads = [x[:, :, :h, :w], x[:, :, :h, w:], x[:, :, h:, :w], x[:, :, h:, w:]]
        z = self.encoder(torch.cat(quads, dim=0))
        z = z.view(len(quads), b, -1).permute(1, 0, 2).reshape(b, -1)
        return self.head(z)


class Trainer:
    def __init__(self, model, train_set, test_set, epochs=5, batch_size=50, lr=2e-3):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.epochs = epochs
        self.train_loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.test_loader = DataLoader(test_set, batch_size=batch_size)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)

    def train_epoch(self):
        self.model.train()
        total, count = 0.0, 0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * y.size(0)
            count += y.size(0)
        return total / count

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        right, count = 0, 0
        for x, y in self.test_loader:
            x, y = x.to(self.device), y.to(self.device)
            right += (self.model(x).argmax(dim=1) == y).sum().item()
            count += y.size(0)
        return right / count

    def fit(self):
        for e in range(self.epochs):
            print(f"[{e + 1}/{self.epochs}] loss {self.train_epoch():.4f}")
        return self.evaluate()


if __name__ == "__main__":
    torch.manual_seed(11)
    trainer = Trainer(QuadrantNet(len(CLASSES)), Shapes(1500, seed=1), Shapes(400, seed=2))
    print(f"accuracy: {trainer.fit():.3f}")
