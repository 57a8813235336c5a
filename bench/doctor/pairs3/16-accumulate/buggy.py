"""CIFAR-10 slice with gradient accumulation and a hand-written warm-up/linear schedule."""
import argparse
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--root", default=os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin"))
    p.add_argument("--train", type=int, default=2000)
    p.add_argument("--test", type=int, default=500)
    p.add_argument("--micro", type=int, default=25)
    p.add_argument("--accum", type=int, default=4)
    p.add_argument("--epochs", type=int, default=6)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--warmup", type=float, default=0.1, help="share of the run")
    p.add_argument("--seed", type=int, default=9)
    return p.parse_args()


def read(path, n):
    a = np.fromfile(path, np.uint8, 3073 * n).reshape(n, 3073)
    x = torch.tensor(a[:, 1:].reshape(n, 3, 32, 32), dtype=torch.float32).div_(255)
    return x, torch.tensor(a[:, 0], dtype=torch.long)


class LinearWarmup:
    """Piecewise linear: 0 → peak over the warm-up, then peak → 0 at the last update."""

    def __init__(self, optimizer, peak, total, warmup):
        self.optimizer, self.peak, self.total = optimizer, peak, total
        self.warm = max(1, int(total * warmup))
        self.count = 0
        self.apply()

    def factor(self):
        if self.count < self.warm:
            return (self.count + 1) / self.warm
        return max(0.0, (self.total - self.count) / (self.total - self.warm))

    def apply(self):
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * self.factor()

    def step(self):
        self.count += 1
        self.apply()


class Net(nn.Module):
    def __init__(self, widths=(16, 32, 64)):
        super().__init__()
        stages, cin = [], 3
        for w in widths:
            stages += [nn.Conv2d(cin, w, 3, 2, 1, bias=False), nn.GroupNorm(4, w), nn.ReLU()]
            cin = w
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(cin, 10)

    def forward(self, x):
        return self.fc(self.stages(x).mean((2, 3)))


class Trainer:
    def __init__(self, model, loader, args):
        self.model, self.loader, self.args = model, loader, args
        self.optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
        updates = args.epochs * len(loader) // args.accum
        self.schedule = LinearWarmup(self.optimizer, args.lr, updates, args.warmup)

    def run(self):
        for epoch in range(self.args.epochs):
            print(f"epoch {epoch}: loss {self.epoch():.3f}")

    def epoch(self):
        self.model.train()
        total = 0.0
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(self.loader, start=1):
            loss = F.cross_entropy(self.model(x), y)
            (loss / self.args.accum).backward()
            total += loss.item()
            if i % self.args.accum == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
            self.schedule.step()
        return total / len(self.loader)


def score(model, loader):
    model.eval()
    with torch.no_grad():
        out = [(model(x).argmax(1) == y).float() for x, y in loader]
    return {"accuracy": torch.cat(out).mean().item()}


def main():
    args = options()
    torch.manual_seed(args.seed)
    xa, ya = read(os.path.join(args.root, "data_batch_4.bin"), args.train)
    xb, yb = read(os.path.join(args.root, "test_batch.bin"), args.test)
    mean, std = xa.mean((0, 2, 3), keepdim=True), xa.std((0, 2, 3), keepdim=True)
    loader = DataLoader(TensorDataset((xa - mean) / std, ya), args.micro, shuffle=True, drop_last=True)
    model = Net()
    Trainer(model, loader, args).run()
    result = score(model, DataLoader(TensorDataset((xb - mean) / std, yb), 250))
    print(f"accuracy: {result['accuracy']:.3f}")


if __name__ == "__main__":
    main()
