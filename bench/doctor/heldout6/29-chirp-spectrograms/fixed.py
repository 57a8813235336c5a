"""Classify small spectrogram pictures of bird-like calls with a CNN and statistics pooling."""
import math

import numpy as np
import torch
import torch.nn as nn

CALLS = ("rise", "fall", "steady", "warble", "clicks", "double")
BANDS, FRAMES = 32, 40


def spectrogram(kind, rng):
    t = np.arange(FRAMES)
    s = np.zeros((BANDS, FRAMES))
    start, length = rng.integers(0, 12), rng.integers(20, 28)
    mid, sweep = rng.uniform(10, 22), rng.uniform(5, 9)
    on = (t >= start) & (t < start + length)
    u = (t - start) / length - 0.5
    bands = np.arange(BANDS)[:, None]

    def trace(centre, mask):
        return np.exp(-((bands - centre[None]) / 1.1) ** 2) * mask[None]

    if kind == "rise":
        s += trace(mid + 2 * sweep * u, on)
    elif kind == "fall":
        s += trace(mid - 2 * sweep * u, on)
    elif kind == "steady":
        s += trace(np.full(FRAMES, mid), on)
    elif kind == "warble":
        s += trace(mid + 0.5 * sweep * np.sin(2 * math.pi * rng.uniform(2.5, 4) * u), on)
    elif kind == "clicks":
        for _ in range(rng.integers(3, 6)):
            at = rng.integers(start, start + length)
            s[:, at] += np.exp(-((bands[:, 0] - mid) / 9) ** 2)
    else:
        gap = rng.uniform(4, 8)
        s += trace(np.full(FRAMES, mid - gap / 2), on) + trace(np.full(FRAMES, mid + gap / 2), on)
    level = s * rng.uniform(0.6, 1.0) + rng.normal(0.0, 0.06, s.shape)
    floor = 0.12
    return np.maximum(level - floor, 0.0)


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(CALLS), n)
    x = np.stack([spectrogram(CALLS[c], rng) for c in y])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


class StatsPool(nn.Module):
    """Mean and spread of every channel over the whole call."""

    def forward(self, x):
        x = x.flatten(2)
        mean = x.mean(dim=2)
        spread = torch.sqrt(x.var(dim=2) + 1e-5)
        return torch.cat([mean, spread], dim=1)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(),
        nn.Dropout2d(0.1),
        StatsPool(),
        nn.Linear(96, 48), nn.ReLU(),
        nn.Linear(48, len(CALLS)),
    )


def batches(x, y, size, generator):
    for idx in torch.randperm(len(x), generator=generator).split(size):
        yield x[idx], y[idx]


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def main():
    torch.manual_seed(11)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gen = torch.Generator().manual_seed(5)
    x_train, y_train = make_set(800, seed=21)
    x_test, y_test = (v.to(device) for v in make_set(300, seed=22))
    scale = x_train.std()
    x_train, x_test = x_train / scale, x_test / scale

    model = build().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for epoch in range(5):
        model.train()
        seen, total = 0, 0.0
        for xb, yb in batches(x_train, y_train, 25, gen):
            xb, yb = xb.to(device), yb.to(device)
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(yb)
            seen += len(yb)
        print("epoch %d  train loss %.3f" % (epoch, total / seen))
    print("accuracy: %.3f" % accuracy(model, x_test, y_test))


if __name__ == "__main__":
    main()
