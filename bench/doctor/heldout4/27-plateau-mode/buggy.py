import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CIFAR = os.path.join(os.environ.get("TENFOLD_DATA", "data"), "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")


@dataclass
class Config:
    iterations: int = 350
    batch_size: int = 32
    eval_every: int = 10
    lr: float = 0.03
    momentum: float = 0.9
    patience: int = 3
    n_train: int = 3000
    n_val: int = 300
    n_test: int = 1000
    seed: int = 7


def synthetic(n):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, n)
    yy, xx = np.mgrid[0:32, 0:32]
    images = np.empty((n, 3, 32, 32), dtype=np.float32)
    for i, k in enumerate(labels):
        a = np.pi * (k % 5) / 5 + rng.normal(0, 0.12)
        f = 0.5 if k < 5 else 0.8
        wave = np.sin(f * (np.cos(a) * xx + np.sin(a) * yy) + rng.uniform(0, 6.3))
        images[i] = 128 + 25 * wave * rng.uniform(0.5, 1.5, (3, 1, 1)) + rng.normal(0, 40, (3, 32, 32))
    return images.clip(0, 255), labels.astype(np.int64)


def load(n):
    if not os.path.exists(CIFAR):
        return synthetic(n)
    records = np.fromfile(CIFAR, dtype=np.uint8, count=n * 3073).reshape(n, 3073)
    return records[:, 1:].reshape(n, 3, 32, 32).astype(np.float32), records[:, 0].astype(np.int64)


class SmallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(48)
        self.out = nn.Linear(48 * 4 * 4, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        return self.out(x.flatten(1))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        a, b = cfg.n_train, cfg.n_train + cfg.n_val
        x, y = load(b + cfg.n_test)
        mean = x[:a].mean((0, 2, 3), keepdims=True)
        std = x[:a].std((0, 2, 3), keepdims=True)
        x, y = torch.from_numpy((x - mean) / std), torch.from_numpy(y)
        self.train_data, self.val_data, self.test_data = (x[:a], y[:a]), (x[a:b], y[a:b]), (x[b:], y[b:])
        self.net = SmallNet()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
        self.sched = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.opt, mode="max", factor=0.1, patience=cfg.patience)

    def batches(self):
        x, y = self.train_data
        while True:
            for idx in torch.randperm(len(x)).split(self.cfg.batch_size):
                yield x[idx], y[idx]

    @torch.no_grad()
    def evaluate(self, data):
        self.net.eval()
        logits = self.net(data[0])
        return F.cross_entropy(logits, data[1]).item(), (logits.argmax(1) == data[1]).float().mean().item()

    def fit(self):
        stream = self.batches()
        for it in range(1, self.cfg.iterations + 1):
            self.net.train()
            x, y = next(stream)
            self.opt.zero_grad()
            loss = F.cross_entropy(self.net(x), y)
            loss.backward()
            self.opt.step()
            if it % self.cfg.eval_every == 0:
                val_loss, val_acc = self.evaluate(self.val_data)
                self.sched.step(val_loss)
                print(f"it {it:4d}  train {loss.item():.3f}  val {val_loss:.3f} / {val_acc:.3f}")


if __name__ == "__main__":
    trainer = Trainer(Config())
    trainer.fit()
    print(f"accuracy: {trainer.evaluate(trainer.test_data)[1]:.3f}")
