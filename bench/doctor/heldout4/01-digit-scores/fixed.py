"""Recognise small rendered digits."""
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
EPOCHS = 4
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)
FONT = ImageFont.load_default()


def render(digit, rng):
    canvas = Image.new("L", (14, 14), 0)
    place = (int(rng.integers(3, 6)), int(rng.integers(0, 3)))
    ImageDraw.Draw(canvas).text(place, str(digit), fill=255, font=FONT)
    canvas = canvas.rotate(float(rng.uniform(-10, 10)), resample=Image.BILINEAR)
    canvas = canvas.resize((20, 20), Image.BILINEAR)
    pixels = np.asarray(canvas, dtype=np.float32) / 255.0
    return pixels + rng.normal(0, 0.12, pixels.shape).astype(np.float32)


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.stack([render(d, rng) for d in labels])
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5)
        self.conv2 = nn.Conv2d(12, 24, 3)
        self.fc1 = nn.Linear(24 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def predict(net, x):
    """Scores of a batch, one row for each image."""
    return net(x)


def train_epoch(net, loader, criterion, optimizer):
    net.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(predict(net, x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


def evaluate(net, loader):
    net.eval()
    hits = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (predict(net, x).argmax(1) == y).sum().item()
    return hits / len(loader.dataset)


def main():
    x_train, y_train = make_set(2400, SEED)
    x_test, y_test = make_set(600, SEED + 1)
    mean, std = x_train.mean(), x_train.std()
    train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=32, shuffle=True)
    test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=200)

    net = DigitNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    for epoch in range(1, EPOCHS + 1):
        loss = train_epoch(net, train_loader, criterion, optimizer)
        print(f"epoch {epoch}  loss {loss:.4f}")
    print(f"accuracy: {evaluate(net, test_loader):.3f}")


if __name__ == "__main__":
    main()
