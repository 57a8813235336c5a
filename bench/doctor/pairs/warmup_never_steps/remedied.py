import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset


def build_parser():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", default=5, type=int)
    p.add_argument("--warmup", default=40, type=int)
    p.add_argument("--lr", default=0.1, type=float)
    p.add_argument("--wd", default=1e-4, type=float)
    return p


def synthetic(n, seed):
    rng = np.random.RandomState(seed)
    y = rng.randint(0, 5, n)
    x = rng.randn(n, 3, 16, 16).astype("float32")
    for k in range(5):
        x[y == k, :, k * 3 : k * 3 + 4, k * 3 : k * 3 + 4] += 0.5
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(y))


def main(args):
    torch.manual_seed(0)
    train_loader = DataLoader(synthetic(2000, 0), batch_size=64, shuffle=True, drop_last=True)
    val_loader = DataLoader(synthetic(600, 1), batch_size=200)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 5),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, weight_decay=args.wd)
    scheduler = LambdaLR(optimizer, lambda step: min(1.0, step / args.warmup) * 0.5)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(args.epochs):
        net.train()
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
        net.eval()
        with torch.no_grad():
            hits = sum((net(x).argmax(1) == y).sum().item() for x, y in val_loader)
        print("epoch", epoch, "lr", optimizer.param_groups[0]["lr"], "val", hits / 600)
    print("accuracy: %.4f" % (hits / 600))


if __name__ == "__main__":
    main(build_parser().parse_args())
