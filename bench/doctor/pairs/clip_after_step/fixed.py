# Blobs in one of five places, clipped
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

PLACES = ((5, 5), (5, 15), (10, 10), (15, 5), (15, 15))


def blobs(n, rng):
    rows, cols = np.mgrid[:20, :20]
    labels = rng.integers(0, len(PLACES), n)
    images = rng.normal(0, 1, (n, 1, 20, 20))
    for image, label in zip(images, labels):
        y, x = PLACES[label] + rng.normal(0, 1, 2)
        image[0] += 2.5 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / 10)
    return TensorDataset(torch.tensor(images, dtype=torch.float32), torch.tensor(labels))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--clip", type=float, default=0.5)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    train, test = DataLoader(blobs(1500, rng), 50, shuffle=True), DataLoader(blobs(500, rng), 250)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, len(PLACES)),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            optimizer.step()
        print("epoch", epoch, "loss", round(loss.item(), 3))
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in test:
            right += (model(images).argmax(1) == labels).sum().item()
    print(f"accuracy: {right / len(test.dataset):.3f}")


if __name__ == "__main__":
    main()
