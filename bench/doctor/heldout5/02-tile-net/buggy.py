# Orientation of gratings, seen through a grid of small tiles.
# Each tile goes through the same little conv net; the head sees all the tiles of an image.
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TILE = 8
SIZE = 24
N_ANGLES = 5


def make_gratings(n, seed):
    rng = np.random.RandomState(seed)
    ys, xs = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    images = np.empty((n, 1, SIZE, SIZE), dtype=np.float32)
    labels = rng.permutation(np.arange(n) % N_ANGLES)
    for i, k in enumerate(labels):
        angle = math.pi * k / N_ANGLES + rng.uniform(-0.1, 0.1)
        freq = 2 * math.pi * rng.uniform(0.13, 0.20)
        wave = np.sin(freq * (xs * math.cos(angle) + ys * math.sin(angle)) + rng.uniform(0, 2 * math.pi))
        images[i, 0] = rng.uniform(0.7, 1.2) * wave + rng.normal(0, 0.5, wave.shape)
    return torch.from_numpy(images), torch.from_numpy(labels).long()


class TileNet(nn.Module):
    def __init__(self, n_classes, width=16):
        super().__init__()
        self.n_tiles = (SIZE // TILE) ** 2
        self.local = nn.Sequential(
            nn.Conv2d(1, width, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Sequential(
            nn.Linear(self.n_tiles * width, 64),
            nn.ReLU(),
            nn.Linear(64, n_classes),
        )

    def forward(self, x):
        n = x.size(0)
        tiles = x.unfold(2, TILE, TILE).unfold(3, TILE, TILE)
        tiles = tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, 1, TILE, TILE)
        feats = self.local(tiles)
        feats = feats.view(self.n_tiles, n, -1).transpose(0, 1)
        return self.head(feats.flatten(1))


def run_epoch(net, loader, criterion, optimizer):
    net.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return running / len(loader)


@torch.no_grad()
def evaluate(net, loader):
    net.eval()
    right = total = 0
    for x, y in loader:
        right += (net(x).argmax(dim=1) == y).sum().item()
        total += y.numel()
    return right / total


def main():
    torch.manual_seed(11)
    x_train, y_train = make_gratings(2000, seed=1)
    x_test, y_test = make_gratings(500, seed=2)
    mean, std = x_train.mean(), x_train.std()
    train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=50, shuffle=True)
    test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=125)

    net = TileNet(N_ANGLES)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(1, 6):
        print("epoch", epoch, "loss %.4f" % run_epoch(net, train_loader, criterion, optimizer))
    print("accuracy: %.3f" % evaluate(net, test_loader))


if __name__ == "__main__":
    main()
