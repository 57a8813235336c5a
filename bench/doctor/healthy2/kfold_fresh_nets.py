"""Three-fold cross-validation: a fresh net, optimiser and normalisation per fold.

The mean and deviation are measured on the training part of each fold only.
The figure reported is the mean over folds of the accuracy after the last
epoch: no epoch is picked.
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES, SIDE, FOLDS = 4, 16, 3


def lumps(n, rng):
    """Two bright spots; the class is the direction from one to the other."""
    y = rng.integers(0, CLASSES, n)
    rows, cols = np.mgrid[0:SIDE, 0:SIDE]
    angle = (y * np.pi / CLASSES + rng.uniform(-0.25, 0.25, n)).reshape(n, 1, 1)
    cx, cy = rng.uniform(6.5, 8.5, (2, n, 1, 1))
    half = rng.uniform(3, 4.5, (n, 1, 1))
    x = rng.normal(0, 0.12, (n, SIDE, SIDE))
    for side in (-1, 1):
        px, py = cx + side * half * np.cos(angle), cy + side * half * np.sin(angle)
        x += rng.uniform(0.7, 1.2, (n, 1, 1)) * np.exp(-((cols - px) ** 2 + (rows - py) ** 2) / 4)
    return torch.from_numpy(x.astype(np.float32))[:, None], torch.from_numpy(y)


class Maxout(nn.Module):
    """Convolution with k times the channels, of which the largest answers."""

    def __init__(self, cin, cout, k=2, stride=1):
        super().__init__()
        self.k = k
        self.conv = nn.Conv2d(cin, cout * k, 3, stride=stride, padding=1)

    def forward(self, x):
        x = self.conv(x)
        n, c, h, w = x.shape
        return x.view(n, c // self.k, self.k, h, w).amax(dim=2)


def new_net():
    return nn.Sequential(
        Maxout(1, 10, stride=2), Maxout(10, 20, stride=2), nn.Flatten(),
        nn.Linear(20 * 16, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, CLASSES))


def run_fold(x, y, inside, outside, seed):
    torch.manual_seed(seed)
    mean, std = x[inside].mean(), x[inside].std()
    x = (x - mean) / std
    train = DataLoader(TensorDataset(x[inside], y[inside]), batch_size=40, shuffle=True)
    net = new_net()
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for _ in range(6):
        net.train()
        for xb, yb in train:
            opt.zero_grad()
            criterion(net(xb), yb).backward()
            opt.step()
    net.eval()
    with torch.no_grad():
        return (net(x[outside]).argmax(1) == y[outside]).float().mean().item()


def main():
    rng = np.random.default_rng(50)
    x, y = lumps(1200, rng)
    parts = torch.from_numpy(rng.permutation(len(x))).chunk(FOLDS)
    scores = []
    for k in range(FOLDS):
        inside = torch.cat([p for j, p in enumerate(parts) if j != k])
        scores.append(run_fold(x, y, inside, parts[k], seed=k))
        print(f"fold {k}: {scores[-1]:.3f}")
    print(f"deviation over folds: {np.std(scores):.3f}")
    print(f"accuracy: {np.mean(scores):.3f}")


if __name__ == "__main__":
    main()
