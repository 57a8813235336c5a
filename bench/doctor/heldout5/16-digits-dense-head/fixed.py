"""Noisy printed digits, small CNN. Cleaned-up version of my kernel."""
import random

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, TensorDataset

SEED = 2021
EPOCHS = 5
BATCH = 64
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

FONT = ImageFont.load_default()


def render(digit):
    glyph = Image.new("L", (12, 14), 0)
    ImageDraw.Draw(glyph).text((3, 1), str(digit), fill=255, font=FONT)
    size = random.randint(18, 24)
    glyph = glyph.resize((size, size + 2), Image.BILINEAR)
    glyph = glyph.rotate(random.uniform(-12, 12), Image.BILINEAR)
    canvas = Image.new("L", (28, 28), 0)
    canvas.paste(glyph, (random.randint(0, 28 - size), random.randint(0, 26 - size)))
    arr = np.asarray(canvas, dtype=np.float32) * random.uniform(0.6, 1.0)
    arr = arr + np.random.normal(0, 30, arr.shape)
    return np.clip(arr, 0, 255).astype(np.float32) / 255.0


def make_split(n):
    labels = np.random.randint(0, 10, n)
    images = np.stack([render(d) for d in labels])[:, None]
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def conv_block(c_in, c_out, k):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, k, padding=k // 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def dense(sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv_block(1, 12, 5), conv_block(12, 24, 3))
        self.classifier = dense([24 * 7 * 7, 96, 64, 10])

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.flatten(1))


train_x, train_y = make_split(2600)
test_x, test_y = make_split(600)
mean, std = train_x.mean(), train_x.std()
train_x = (train_x - mean) / std
test_x = (test_x - mean) / std

train_dl = DataLoader(TensorDataset(train_x, train_y), batch_size=BATCH, shuffle=True)
test_dl = DataLoader(TensorDataset(test_x, test_y), batch_size=200)

model = DigitNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1.5e-3)

for epoch in range(1, EPOCHS + 1):
    model.train()
    running = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item() * xb.size(0)
    print(f"epoch {epoch}: train loss {running / len(train_x):.4f}")

model.eval()
hits = 0
with torch.no_grad():
    for xb, yb in test_dl:
        hits += (model(xb).argmax(1) == yb).sum().item()
print(f"accuracy: {hits / len(test_x):.3f}")
