"""Small VGG on a slice of CIFAR-10, warm-up + cosine schedule."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ROOT = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
PEAK_LR = 2e-3
EPOCHS = 6
BATCH = 50
WARMUP = 40          # steps


def read_bin(fname, count):
    raw = np.fromfile(os.path.join(ROOT, fname), dtype=np.uint8, count=count * 3073)
    raw = raw.reshape(-1, 3073)
    labels = torch.from_numpy(raw[:, 0].astype(np.int64))
    pixels = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return pixels, labels


def conv_bn(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class MiniVGG(nn.Module):
    def __init__(self, n_classes=10):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(3, 16), nn.MaxPool2d(2),
            conv_bn(16, 32), nn.MaxPool2d(2),
            conv_bn(32, 64), nn.AdaptiveAvgPool2d(2),
        )
        self.head = nn.Linear(64 * 4, n_classes)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class WarmupCosine:
    """Linear ramp to the peak, then half a cosine down to zero."""

    def __init__(self, peak, warmup, total):
        self.peak, self.warmup, self.total = peak, warmup, total

    def __call__(self, step):
        if step < self.warmup:
            scale = (step + 1) / self.warmup
        else:
            t = (step - self.warmup) / max(1, self.total - self.warmup)
            scale = 0.5 * (1 + math.cos(math.pi * t))
        return scale


class Trainer:
    def __init__(self, net, train, val):
        self.net = net
        self.x, self.y = train
        self.val = val
        steps = EPOCHS * (len(self.x) // BATCH)
        self.opt = torch.optim.Adam(net.parameters(), lr=PEAK_LR)
        self.sched = torch.optim.lr_scheduler.LambdaLR(self.opt, WarmupCosine(PEAK_LR, WARMUP, steps))

    def fit(self):
        for ep in range(1, EPOCHS + 1):
            loss = self._epoch()
            print(f"[{ep}/{EPOCHS}] train loss {loss:.4f}  val acc {self.score(*self.val):.4f}")

    def _epoch(self):
        self.net.train()
        running, order = 0.0, torch.randperm(len(self.x))
        n_batches = len(order) // BATCH
        for b in range(n_batches):
            pick = order[b * BATCH:(b + 1) * BATCH]
            loss = F.cross_entropy(self.net(self.x[pick]), self.y[pick])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.sched.step()       # schedule is defined in steps
            running += loss.item()
        return running / n_batches

    @torch.no_grad()
    def score(self, x, y):
        self.net.eval()
        good = 0
        for xb, yb in zip(x.split(250), y.split(250)):
            good += (self.net(xb).argmax(1) == yb).sum().item()
        return good / len(y)


def main():
    random.seed(3)
    torch.manual_seed(3)
    x, y = read_bin("data_batch_1.bin", 3000)
    xt, yt = read_bin("test_batch.bin", 500)
    mean, std = x[:2500].mean((0, 2, 3), keepdim=True), x[:2500].std((0, 2, 3), keepdim=True)
    x, xt = (x - mean) / std, (xt - mean) / std
    tr = Trainer(MiniVGG(), (x[:2500], y[:2500]), (x[2500:], y[2500:]))
    tr.fit()
    print(f"test accuracy {tr.score(xt, yt):.4f}")


if __name__ == "__main__":
    main()
