"""Handwritten music symbols with a plain VGG-style stack of 3x3 convolutions."""
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SYMBOLS = ["whole", "half", "quarter", "eighth", "sharp", "natural", "quarter_rest", "half_rest"]
PIXELS = 28
PLAN = [12, "M", 24, 24, "M", 36, 36, "M"]


class Scribe:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def stroke(self, pen, points, width):
        pts = [(x + self.rng.normal(0, 1.2), y + self.rng.normal(0, 1.2)) for x, y in points]
        pen.line(pts, fill=255, width=width, joint="curve")

    def write(self, symbol):
        rng = self.rng
        n = PIXELS * 3
        im = Image.new("L", (n, n), 0)
        pen = ImageDraw.Draw(im)
        w = int(rng.integers(3, 6))
        c = n // 2
        if symbol in ("whole", "half", "quarter", "eighth"):
            a, b = rng.uniform(10, 13), rng.uniform(7, 9)
            cy = c if symbol == "whole" else c + 17
            box = [c - a, cy - b, c + a, cy + b]
            if symbol in ("whole", "half"):
                pen.ellipse(box, outline=255, width=w)
            else:
                pen.ellipse(box, fill=255)
            if symbol != "whole":
                self.stroke(pen, [(c + a - 2, cy), (c + a - 2, cy - 44)], w)
            if symbol == "eighth":
                self.stroke(pen, [(c + a - 2, cy - 44), (c + a + 8, cy - 32), (c + a + 7, cy - 20)], w)
        elif symbol == "sharp":
            for d in (-7, 7):
                self.stroke(pen, [(c + d, c - 24), (c + d, c + 24)], w)
                self.stroke(pen, [(c - 17, c + d + 3), (c + 17, c + d - 4)], w + 1)
        elif symbol == "natural":
            self.stroke(pen, [(c - 8, c - 26), (c - 8, c + 11)], w)
            self.stroke(pen, [(c + 8, c - 11), (c + 8, c + 26)], w)
            for d in (-9, 9):
                self.stroke(pen, [(c - 8, c + d + 2), (c + 8, c + d - 2)], w + 1)
        elif symbol == "quarter_rest":
            self.stroke(pen, [(c - 5, c - 25), (c + 7, c - 10), (c - 5, c + 2), (c + 8, c + 14), (c - 4, c + 14), (c, c + 25)], w + 1)
        else:
            pen.rectangle([c - 9, c - 7, c + 9, c + 2], fill=255)
            self.stroke(pen, [(c - 18, c + 3), (c + 18, c + 3)], w)
        im = im.rotate(rng.normal(0, 8), translate=tuple(rng.uniform(-9, 9, 2)), resample=Image.BILINEAR)
        ink = np.asarray(im.resize((PIXELS, PIXELS), Image.BOX), np.float32) / 255
        ink *= rng.uniform(0.45, 0.9)
        if rng.random() < 0.7:
            first = int(rng.integers(0, 7))
            ink[first::7] = np.maximum(ink[first::7], rng.uniform(0.2, 0.4))
        return 0.9 - ink + rng.normal(0, 0.07, ink.shape)


class Symbols(Dataset):
    def __init__(self, per_symbol, scribe, like=None):
        x = np.stack([scribe.write(s) for s in SYMBOLS for _ in range(per_symbol)]).astype(np.float32)
        self.mean, self.std = (x.mean(), x.std()) if like is None else (like.mean, like.std)
        self.x = torch.from_numpy((x - self.mean) / self.std).unsqueeze(1)
        self.y = torch.arange(len(SYMBOLS)).repeat_interleave(per_symbol)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def vgg(plan):
    layers, c = [], 1
    for item in plan:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, item, 3, padding=1), nn.ReLU(inplace=True)]
            c = item
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * (PIXELS // 8) ** 2, len(SYMBOLS)))


def initialize(model):
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            n = m.kernel_size[0] * m.kernel_size[1] * m.in_channels
            nn.init.normal_(m.weight, 0.0, math.sqrt(2.0 / n))
            nn.init.zeros_(m.bias)


@torch.no_grad()
def measure(model, loader):
    model.eval()
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main(epochs=8, lr=0.01):
    torch.manual_seed(14)
    scribe = Scribe(14)
    train_set = Symbols(200, scribe)
    val_set, test_set = Symbols(40, scribe, like=train_set), Symbols(75, scribe, like=train_set)
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    val_loader, test_loader = (DataLoader(s, batch_size=160) for s in (val_set, test_set))

    model = vgg(PLAN)
    initialize(model)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=lr / 50)
    best_val, best_weights = -1.0, None
    for epoch in range(epochs):
        model.train()
        losses = []
        for x, y in train_loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        val = measure(model, val_loader)
        print(f"epoch {epoch}: train loss {sum(losses) / len(losses):.3f}, val {val:.3f}")
        if val > best_val:
            best_val, best_weights = val, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best_weights)
    print(f"test accuracy {measure(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
