# Texture classification with a small CNN and generalised-mean (GeM) pooling.
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
rng = np.random.default_rng(7)
device = "cuda" if torch.cuda.is_available() else "cpu"

CLASSES = ["stripes", "checks", "dots", "rings", "waves"]
SIZE = 24


def texture(kind):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    a = rng.uniform(-0.4, 0.4)
    u = xx * math.cos(a) + yy * math.sin(a) + rng.uniform(0, 20)
    v = -xx * math.sin(a) + yy * math.cos(a) + rng.uniform(0, 20)
    p = rng.uniform(6, 9)
    if kind == "stripes":
        m = (u % p) < p / 2
    elif kind == "checks":
        m = ((u // (p / 2)) + (v // (p / 2))) % 2 < 1
    elif kind == "dots":
        m = ((u % p) - p / 2) ** 2 + ((v % p) - p / 2) ** 2 < (0.3 * p) ** 2
    elif kind == "rings":
        cy, cx = rng.uniform(6, 18, 2)
        m = (np.hypot(yy - cy, xx - cx) % p) < p / 2
    else:
        m = ((u + 2.5 * np.sin(v / p * 2.5)) % p) < p / 2
    bg = rng.uniform(0, 0.35, 3)
    fg = bg + rng.uniform(0.3, 0.6, 3)
    img = np.where(m[..., None], fg, bg) + rng.normal(0, 0.06, (SIZE, SIZE, 3))
    return np.clip(img, 0, 1).transpose(2, 0, 1)


def make(n_per_class):
    x = np.stack([texture(k) for k in CLASSES for _ in range(n_per_class)])
    y = np.repeat(np.arange(len(CLASSES)), n_per_class)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = make(180)
x_test, y_test = make(50)
mean = x_train.mean((0, 2, 3), keepdim=True)
std = x_train.std((0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=30, shuffle=True)
test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=125)


class GeM(nn.Module):
    """Generalised-mean pooling with a learned exponent."""

    def __init__(self, p=3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x):
        x = x.clamp(min=1e-6).pow(self.p)
        return F.adaptive_avg_pool2d(x, 1).flatten(1).pow(1.0 / self.p)


def conv_block(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


model = nn.Sequential(
    conv_block(3, 12),
    conv_block(12, 24, stride=2),
    conv_block(24, 48, stride=2),
    conv_block(48, 48),
    GeM(),
    nn.Linear(48, len(CLASSES)),
).to(device)

epochs = 6
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)

for epoch in range(epochs):
    model.train()
    running = 0.0
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(labels)
    scheduler.step()
    print(f"epoch {epoch + 1}: train loss {running / len(y_train):.4f}")

model.eval()
correct = 0
with torch.no_grad():
    for images, labels in test_loader:
        pred = model(images.to(device)).argmax(1).cpu()
        correct += (pred == labels).sum().item()
print(f"accuracy: {correct / len(y_test):.3f}")
