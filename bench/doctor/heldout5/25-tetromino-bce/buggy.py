"""Which tetromino is it?  One-vs-rest sigmoid classifier with a low prior, as in detection heads."""
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

PIECES = {
    "I": ["####"],
    "O": ["##", "##"],
    "T": ["###", ".#."],
    "S": [".##", "##."],
    "Z": ["##.", ".##"],
    "J": ["#..", "###"],
    "L": ["..#", "###"],
}
NAMES = list(PIECES)


def make_images(count: int, rng: np.random.Generator):
    labels = rng.integers(0, len(NAMES), count)
    images = rng.normal(0.0, 0.35, (count, 1, 24, 24))
    for img, k in zip(images, labels):
        mask = np.array([[c == "#" for c in row] for row in PIECES[NAMES[k]]], dtype=float)
        if rng.random() < 0.5:
            mask = np.rot90(mask)
        cell = rng.integers(4, 6)
        block = np.kron(mask, np.ones((cell, cell)))
        h, w = block.shape
        top, left = rng.integers(0, 24 - h + 1), rng.integers(0, 24 - w + 1)
        img[0, top:top + h, left:left + w] += rng.uniform(0.8, 1.2) * block
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels)


class PieceNet(nn.Module):
    def __init__(self, n_classes: int, prior: float = 0.01):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 6 * 6, 64)
        self.head = nn.Linear(64, n_classes)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.reset(prior)

    def reset(self, prior: float):
        prior_bias = -math.log((1 - prior) / prior)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.constant_(m.bias, prior_bias)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.relu(self.fc(x.flatten(1)))
        return self.head(x)


def evaluate(net, loader):
    net.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right += (net(x).argmax(1) == y).sum().item()
            total += y.numel()
    return right / total


def main():
    rng = np.random.default_rng(8)
    torch.manual_seed(8)
    x_train, y_train = make_images(2500, rng)
    x_test, y_test = make_images(600, rng)
    mean, std = x_train.mean(), x_train.std()
    train = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=50, shuffle=True)
    test = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=200)

    net = PieceNet(len(NAMES))
    loss_fn = nn.BCEWithLogitsLoss()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(5):
        net.train()
        losses = []
        for x, y in train:
            target = nn.functional.one_hot(y, len(NAMES)).float()
            loss = loss_fn(net(x), target)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: bce {np.mean(losses):.4f}")
    print(f"accuracy: {evaluate(net, test):.3f}")


if __name__ == "__main__":
    main()
