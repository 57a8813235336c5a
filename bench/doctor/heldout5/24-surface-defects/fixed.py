# -*- coding: utf-8 -*-
# Surface inspection: most parts are fine, three rarer kinds of defect.
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

CLASS_NAMES = ["ok", "scratch", "pit", "stain"]
TRAIN_COUNTS = [900, 300, 160, 120]
TEST_COUNTS = [120, 120, 120, 120]
yy, xx = np.mgrid[:28, :28]


def surface(kind, rng):
    base = rng.normal(0, 1.0, (28, 28))
    base = base + 0.5 * np.sin(xx * rng.uniform(0.2, 0.5) + rng.uniform(0, 6.28))
    cx, cy = rng.uniform(7, 21, 2)
    if kind == "scratch":
        im = Image.new("L", (28, 28), 0)
        a, half = rng.uniform(0, np.pi), rng.uniform(7, 11)
        dx, dy = half * np.cos(a), half * np.sin(a)
        ImageDraw.Draw(im).line([cx - dx, cy - dy, cx + dx, cy + dy], fill=255, width=2)
        base = base + 2.8 * np.asarray(im) / 255.0
    elif kind == "pit":
        base = base - 3.0 * (np.hypot(xx - cx, yy - cy) < rng.uniform(2.5, 4.0))
    elif kind == "stain":
        s = rng.uniform(4.0, 6.0)
        base = base + 2.5 * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * s * s))
    return base / 1.2


def build(counts, rng):
    y = np.repeat(np.arange(len(counts)), counts)
    rng.shuffle(y)
    x = np.stack([surface(CLASS_NAMES[k], rng) for k in y])
    return torch.tensor(x[:, None], dtype=torch.float32), y


class InspectionNet(nn.Module):
    def __init__(self, width=12, n_classes=4):
        super().__init__()
        self.c1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(width)
        self.c2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(2 * width)
        self.c3 = nn.Conv2d(2 * width, 4 * width, 3, padding=1, bias=False)
        self.n3 = nn.BatchNorm2d(4 * width)
        self.pool = nn.MaxPool2d(2)
        self.out = nn.Linear(4 * width, n_classes)
        self.act = nn.ELU()

    def forward(self, x):
        x = self.pool(self.act(self.n1(self.c1(x))))
        x = self.pool(self.act(self.n2(self.c2(x))))
        x = self.act(self.n3(self.c3(x)))
        return self.out(x.amax(dim=(2, 3)))


def main():
    rng = np.random.default_rng(77)
    torch.manual_seed(77)
    x_train, y_train = build(TRAIN_COUNTS, rng)
    x_test, y_test = build(TEST_COUNTS, rng)

    train_set = TensorDataset(x_train, torch.from_numpy(y_train))
    counts = np.bincount(y_train, minlength=len(CLASS_NAMES))
    class_weight = 1.0 / counts
    sampler = WeightedRandomSampler(class_weight[y_train], num_samples=len(train_set))
    train_loader = DataLoader(train_set, batch_size=40, sampler=sampler)

    model = InspectionNet()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)

    for epoch in range(5):
        model.train()
        running = 0.0
        for images, targets in train_loader:
            loss = loss_fn(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()
        scheduler.step()
        print(f"epoch {epoch}: loss {running / len(train_loader):.4f}")

    model.eval()
    with torch.no_grad():
        pred = model(x_test).argmax(1).numpy()
    for k, name in enumerate(CLASS_NAMES):
        print(f"  recall {name:8s} {(pred[y_test == k] == k).mean():.3f}")
    print(f"accuracy: {(pred == y_test).mean():.3f}")


if __name__ == "__main__":
    main()
