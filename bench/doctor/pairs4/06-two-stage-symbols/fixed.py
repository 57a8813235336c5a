"""Transfer in two stages: learn stripe directions first, then reuse the backbone for six drawn symbols."""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SIDE = 20


def stripes(direction, rng):
    y, x = np.mgrid[:SIDE, :SIDE]
    a = direction * np.pi / 4
    return np.sin(0.9 * (x * np.cos(a) + y * np.sin(a)) + rng.uniform(0, 6.28))


def symbol(kind, rng):
    canvas = Image.new("F", (SIDE, SIDE), 0.0)
    pen = ImageDraw.Draw(canvas)
    x, y, r = rng.integers(8, 12), rng.integers(8, 12), rng.integers(5, 8)
    left, top, right, bottom = int(x - r), int(y - r), int(x + r), int(y + r)
    x, y = int(x), int(y)
    if kind == 0:
        pen.line((left, y, right, y), fill=2.0, width=2)
    elif kind == 1:
        pen.line((x, top, x, bottom), fill=2.0, width=2)
    elif kind == 2:
        pen.line((left, y, right, y), fill=2.0, width=2)
        pen.line((x, top, x, bottom), fill=2.0, width=2)
    elif kind == 3:
        pen.line((left, top, right, bottom), fill=2.0, width=2)
    elif kind == 4:
        pen.line((left, bottom, right, top), fill=2.0, width=2)
    else:
        pen.ellipse((left, top, right, bottom), outline=2.0, width=2)
    return np.asarray(canvas)


def build(painter, classes, n, rng):
    y = rng.permutation(np.arange(n) % classes)
    x = np.stack([painter(k, rng) for k in y]) + rng.normal(0, 0.8, (n, SIDE, SIDE))
    x = (x - x.mean()) / x.std()
    return TensorDataset(torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y))


class Backbone(nn.Sequential):
    width = 48

    def __init__(self):
        layers, last = [], 1
        for w in (16, 32, self.width):
            layers += [nn.Conv2d(last, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(2)]
            last = w
        super().__init__(*layers, nn.Flatten())


class Model(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = Backbone()
        self.reset_head(classes)

    def reset_head(self, classes):
        self.head = nn.Linear(4 * Backbone.width, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


class Stage:
    """One training stage. `body_lr` lets the backbone move more slowly than the head."""

    def __init__(self, model, classes, head_lr, body_lr):
        self.model = model
        self.loss = nn.CrossEntropyLoss()
        if model.head.out_features != classes:
            model.reset_head(classes)
        self.optimizer = torch.optim.Adam(
            [
                {"params": model.backbone.parameters(), "lr": body_lr},
                {"params": model.head.parameters(), "lr": head_lr},
            ]
        )

    def fit(self, data, epochs, title):
        loader = DataLoader(data, batch_size=30, shuffle=True)
        for epoch in range(epochs):
            self.model.train()
            seen = 0.0
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                seen += loss.item()
            print(f"{title} {epoch}: {seen / len(loader):.3f}")

    @torch.no_grad()
    def score(self, data):
        self.model.eval()
        x, y = data.tensors
        return (self.model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    model = Model(4)
    first = Stage(model, classes=4, head_lr=2e-3, body_lr=2e-3)
    first.fit(build(stripes, 4, 480, rng), 2, "stripes")
    second = Stage(model, classes=6, head_lr=3e-3, body_lr=5e-5)
    second.fit(build(symbol, 6, 600, rng), 3, "symbols")
    print(f"accuracy: {second.score(build(symbol, 6, 300, rng)):.3f}")


main()
