"""CIFAR-10 example, subset of the first training batch."""

import argparse
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(3, 16, 5)
        self.conv2 = nn.Conv2d(16, 32, 5)
        self.fc1 = nn.Linear(32 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.softmax(x, dim=1)


def load(n):
    root = os.environ.get("TENFOLD_DATA")
    if root:
        path = os.path.join(root, "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
        raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(n, 3073)
        return raw[:, 1:].reshape(n, 3, 32, 32), raw[:, 0].astype(np.int64)
    g = np.random.default_rng(0)
    y = g.integers(0, 10, n)
    x = g.integers(0, 90, (n, 3, 32, 32)).astype(np.uint8)
    for i, c in enumerate(y):
        x[i, c % 3, 3 * c : 3 * c + 5, 4:28] += 120
    return x, y


def train(args, model, data, target, optimizer, epoch):
    model.train()
    perm = torch.randperm(len(data))
    for b, idx in enumerate(perm.split(args.batch_size)):
        optimizer.zero_grad()
        output = model(data[idx])
        loss = F.cross_entropy(output, target[idx])
        loss.backward()
        optimizer.step()
        if b % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(epoch, b * len(idx), len(data), loss.item()))


def test(model, data, target):
    model.eval()
    with torch.no_grad():
        pred = model(data).argmax(dim=1)
    return (pred == target).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description="PyTorch CIFAR10 Example")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=40)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    x, y = load(3000)
    x = torch.from_numpy(x).float().div(255).sub(0.47).div(0.25)
    y = torch.from_numpy(y)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(1, args.epochs + 1):
        train(args, model, x[:2400], y[:2400], optimizer, epoch)
        acc = test(model, x[2400:], y[2400:])
    print("accuracy: {:.4f}".format(acc))


if __name__ == "__main__":
    main()
