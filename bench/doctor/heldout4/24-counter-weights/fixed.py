"""Fibre direction in micrographs. Most samples were cut along two directions, so the
training set is uneven; the test set has equally many of each direction."""
from collections import Counter

import numpy as np
import torch
from torch import nn

N_DIRECTIONS = 5
TRAIN_COUNTS = {0: 90, 1: 900, 2: 150, 3: 500, 4: 60}
TEST_COUNTS = {k: 120 for k in range(N_DIRECTIONS)}


def micrograph(direction, rng, size=20):
    angle = np.deg2rad(direction * 180 / N_DIRECTIONS + rng.normal(0, 14))
    yy, xx = np.mgrid[:size, :size]
    wave = np.cos(angle) * xx + np.sin(angle) * yy
    img = np.sin(2 * np.pi * wave / rng.uniform(4.5, 6.5) + rng.uniform(0, 2 * np.pi))
    return img + rng.normal(0, 0.35, img.shape)


def collect(counts, seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(counts), list(counts.values()))
    rng.shuffle(labels)
    images = np.stack([micrograph(k, rng) for k in labels]).astype(np.float32)
    return images[:, None], labels.astype(np.int64)


def class_weights(labels):
    """Inverse frequency, so that every direction counts the same in the loss."""
    counts = Counter(labels.tolist())
    total = sum(counts.values())
    return torch.tensor([total / (len(counts) * counts[k]) for k in sorted(counts)])


def make_net():
    return nn.Sequential(
        nn.Conv2d(1, 12, 7, padding=3, bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1, bias=False),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, N_DIRECTIONS),
    )


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        guess = net(x).argmax(dim=1)
    per_class = [(guess[y == k] == k).float().mean().item() for k in range(N_DIRECTIONS)]
    return (guess == y).float().mean().item(), per_class


def run(epochs=6, batch=57, lr=2e-3):
    torch.manual_seed(0)
    x, y = collect(TRAIN_COUNTS, seed=100)
    xt, yt = collect(TEST_COUNTS, seed=200)
    mean, std = x.mean(), x.std()
    x, xt = torch.from_numpy((x - mean) / std), torch.from_numpy((xt - mean) / std)
    loss_fn = nn.CrossEntropyLoss(weight=class_weights(y))
    y, yt = torch.from_numpy(y), torch.from_numpy(yt)

    net = make_net()
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for chosen in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            loss = loss_fn(net(x[chosen]), y[chosen])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(chosen)
        scheduler.step()
        print(f"epoch {epoch + 1} loss {total / len(x):.3f}")

    accuracy, recall = evaluate(net, xt, yt)
    print("recall per direction:", " ".join(f"{r:.2f}" for r in recall))
    print(f"accuracy: {accuracy:.3f}")


if __name__ == "__main__":
    run()
