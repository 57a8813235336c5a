"""Predict the bend of the road ahead (left / straight / right) from a small camera picture."""
import random

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

CLASSES = ["left", "straight", "right"]
SIZE = 24
random.seed(3)
np.random.seed(3)
torch.manual_seed(3)


def draw_road(bend):
    """One grey picture of a road; bend is -1, 0 or 1."""
    ground = random.randint(60, 110)
    im = Image.new("L", (SIZE, SIZE), ground)
    pen = ImageDraw.Draw(im)
    x0 = SIZE / 2 + random.uniform(-3, 3)
    amount = bend * random.uniform(5, 9) + random.uniform(-1.0, 1.0)
    points = [(x0 + amount * (t / 10) ** 2, SIZE - 1 - t * 2.2) for t in range(11)]
    pen.line(points, fill=ground + random.randint(60, 110), width=3)
    a = np.asarray(im, dtype=np.float32) / 255.0
    return a + np.random.normal(0, 0.08, a.shape).astype(np.float32)


class RoadDataset(Dataset):
    def __init__(self, n, augment=False):
        self.labels = [i % 3 for i in range(n)]
        self.images = [draw_road(label - 1) for label in self.labels]
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        y = self.labels[i]
        x = torch.from_numpy(self.images[i])[None]
        x = (x - 0.40) / 0.18
        if self.augment:
            if random.random() < 0.5:
                x, y = torch.flip(x, dims=[2]), 2 - y
            x = x + 0.2 * torch.randn(1)
        return x, y


class BendNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 6 * 6, 48), nn.ReLU(), nn.Linear(48, 3))

    def forward(self, x):
        return self.head(self.features(x))


def evaluate(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(loader.dataset)


def main():
    train_loader = DataLoader(RoadDataset(1800, augment=True), batch_size=36, shuffle=True)
    test_loader = DataLoader(RoadDataset(600), batch_size=100)
    model = BendNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(5):
        model.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch + 1}  loss {total / len(train_loader.dataset):.3f}")
    print(f"accuracy: {evaluate(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
