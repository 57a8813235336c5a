"""Three-fold cross-validation of a small CNN on oriented Gabor patches."""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

N_CLASSES = 7
PER_CLASS = 199
FOLDS = 3
EPOCHS = 4
BATCH = 32


def gabor_patch(theta, rng, size=16):
    grid = np.arange(size) - (size - 1) / 2
    gx, gy = np.meshgrid(grid, grid)
    gx, gy = gx - rng.uniform(-2, 2), gy - rng.uniform(-2, 2)
    theta = theta + rng.normal(0, 0.06)
    wave = np.cos(2 * np.pi * (gx * np.cos(theta) + gy * np.sin(theta)) / rng.uniform(4, 6) + rng.uniform(0, 2 * np.pi))
    envelope = np.exp(-(gx ** 2 + gy ** 2) / (2 * 5.0 ** 2))
    return wave * envelope + rng.normal(0, 0.3, (size, size))


def make_data(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    patches = np.stack([gabor_patch(np.pi * k / N_CLASSES, rng) for k in labels])
    return patches[:, None].astype(np.float32), labels


def build_net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 4 * 4, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, N_CLASSES),
    )


def run_fold(x, y, train_idx, test_idx, seed):
    torch.manual_seed(seed)
    mean, std = x[train_idx].mean(), x[train_idx].std()
    x = torch.from_numpy((x - mean) / std)
    y = torch.from_numpy(y).long()
    train_loader = DataLoader(TensorDataset(x[train_idx], y[train_idx]), batch_size=BATCH, shuffle=True)

    net = build_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    loss_fn = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        net.train()
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss_fn(net(xb), yb).backward()
            optimizer.step()

    net.eval()
    with torch.no_grad():
        predicted = net(x[test_idx]).argmax(1)
    return (predicted == y[test_idx]).float().mean().item()


def main():
    x, y = make_data(seed=6)
    order = np.random.default_rng(60).permutation(len(y))
    folds = np.array_split(order, FOLDS)
    scores = []
    for k in range(FOLDS):
        train_idx = np.concatenate([f for j, f in enumerate(folds) if j != k])
        scores.append(run_fold(x, y, train_idx, folds[k], seed=600 + k))
        print(f"fold {k + 1}/{FOLDS}: {scores[-1]:.3f}")
    print(f"accuracy: {np.mean(scores):.3f}")


if __name__ == "__main__":
    main()
