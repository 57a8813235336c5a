"""Two-stream fabric classifier: a colour stream and an edge stream, fused late."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

WEAVES = ["warp", "weft", "twill_l", "twill_r", "check", "dots"]
SCALES = [4.0, 7.0]
CLASSES = [f"{w}_{int(s)}" for w in WEAVES for s in SCALES]


def weave(kind, period, rng, size=32):
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    wobble = rng.uniform(-0.12, 0.12)
    c, s = math.cos(wobble), math.sin(wobble)
    xx, yy = c * xx - s * yy, s * xx + c * yy
    k = 2 * math.pi / (period * rng.uniform(0.92, 1.08))
    p, q = rng.uniform(0, 2 * math.pi, 2)
    if kind == "warp":
        return np.sin(k * xx + p)
    if kind == "weft":
        return np.sin(k * yy + p)
    if kind == "twill_l":
        return np.sin(k * (xx + yy) / math.sqrt(2) + p)
    if kind == "twill_r":
        return np.sin(k * (xx - yy) / math.sqrt(2) + p)
    if kind == "check":
        return np.sign(np.sin(k * xx + p) * np.sin(k * yy + q))
    return np.maximum(0, np.sin(k * xx + p)) * np.maximum(0, np.sin(k * yy + q)) * 2 - 0.5


class Fabrics(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % len(CLASSES))
        images = []
        for y in self.labels:
            pattern = weave(WEAVES[y // 2], SCALES[y % 2], rng)
            base, thread = rng.uniform(0.2, 0.8, 3), rng.uniform(-0.22, 0.22, 3)
            img = base[:, None, None] + thread[:, None, None] * pattern
            images.append(img + rng.normal(0, 0.08, img.shape))
        self.images = torch.tensor(np.clip(np.stack(images), 0, 1), dtype=torch.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return (self.images[i] - 0.5) / 0.25, int(self.labels[i])


def stream(in_channels, n_classes):
    return nn.Sequential(
        nn.Conv2d(in_channels, 12, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 40, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(40 * 4, n_classes),
    )


class TwoStream(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
        self.register_buffer("kernels", torch.stack([sobel, sobel.t()])[:, None])
        self.colour = stream(3, n_classes)
        self.edges = stream(2, n_classes)

    def forward(self, x):
        grey = x.mean(dim=1, keepdim=True)
        a = self.colour(x)
        b = self.edges(F.conv2d(grey, self.kernels, padding=1))
        return (a + b) / 2


def train_epoch(model, loader, optimizer, scheduler, device):
    model.train()
    total, seen = 0.0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(y)
        seen += len(y)
    return total / seen


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    hits = seen = 0
    for x, y in loader:
        hits += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
        seen += len(y)
    return hits / seen


def main():
    torch.manual_seed(7)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train = DataLoader(Fabrics(1536, seed=1), batch_size=32, shuffle=True)
    test = DataLoader(Fabrics(480, seed=2), batch_size=120)
    model = TwoStream(len(CLASSES)).to(device)
    epochs = 6
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=epochs * len(train), pct_start=0.2)
    for epoch in range(epochs):
        loss = train_epoch(model, train, optimizer, scheduler, device)
        print(f"epoch {epoch + 1}: train loss {loss:.4f}")
    print(f"accuracy: {evaluate(model, test, device):.3f}")


if __name__ == "__main__":
    main()
