"""Read a pressure gauge: the needle's position falls into one of ten sectors."""
import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split

SECTORS = 10
SIZE = 32


def gauge(rng, sector):
    s = 2 * SIZE
    face = int(rng.integers(170, 240))
    im = Image.new("L", (s, s), int(rng.integers(60, 130)))
    d = ImageDraw.Draw(im)
    cx, cy = s / 2 + rng.uniform(-3, 3), s / 2 + rng.uniform(-3, 3)
    r = rng.uniform(24, 28)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=face, outline=20, width=2)
    for k in range(SECTORS + 1):
        a = math.radians(135 + 270 * k / SECTORS)
        d.line([cx + 0.85 * r * math.cos(a), cy + 0.85 * r * math.sin(a), cx + r * math.cos(a), cy + r * math.sin(a)],
               fill=60, width=2)
    a = math.radians(135 + 270 * (sector + rng.uniform(0.15, 0.85)) / SECTORS)
    d.line([cx, cy, cx + 0.8 * r * math.cos(a), cy + 0.8 * r * math.sin(a)], fill=int(rng.integers(0, 60)), width=4)
    a = np.asarray(im.resize((SIZE, SIZE), Image.BILINEAR), dtype=np.float32)
    return (a + rng.normal(0, 10, a.shape)).clip(0, 255) / 255


def make_data(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, SECTORS, n)
    x = np.stack([gauge(rng, int(k)) for k in y]).astype(np.float32)
    return TensorDataset((torch.from_numpy(x).unsqueeze(1) - 0.6) / 0.25, torch.from_numpy(y))


def separable(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin), nn.ReLU6(),
        nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU6())


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
        separable(16, 24), separable(24, 40, 2), separable(40, 48),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.1), nn.Linear(48 * 16, SECTORS))


def train_one_epoch(model, loader, optimizer, device):
    model.train()
    loss_sum = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
    return loss_sum / len(loader.dataset)


@torch.no_grad()
def accuracy(model, loader, device):
    model.eval()
    return sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader) / len(loader.dataset)


def main(epochs=8):
    torch.manual_seed(4)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pool = make_data(1500, seed=40)
    train_set, val_set = random_split(pool, [1250, 250])
    test_set = make_data(400, seed=41)
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=125)
    test_loader = DataLoader(test_set, batch_size=100)

    model = build_model().to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.002, momentum=0.9, weight_decay=1e-4)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=1)

    for epoch in range(epochs):
        loss = train_one_epoch(model, train_loader, optimizer, device)
        val_acc = accuracy(model, val_loader, device)
        scheduler.step(val_acc)
        lr = optimizer.param_groups[0]["lr"]
        print(f"epoch {epoch + 1:2d}  loss {loss:.3f}  val {val_acc:.3f}  lr {lr:.1e}")

    print(f"accuracy: {accuracy(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
