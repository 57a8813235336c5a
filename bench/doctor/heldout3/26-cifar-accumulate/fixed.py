"""CIFAR-10 slice, gradient accumulation and a step-wise cosine schedule."""
import math
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    train_images: int = 2400
    test_images: int = 1000
    micro_batch: int = 20
    accumulate: int = 4
    epochs: int = 10
    lr: float = 0.1
    momentum: float = 0.9
    seed: int = 17


def read_cifar(name, count):
    path = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin", name)
    raw = np.fromfile(path, dtype=np.uint8, count=3073 * count).reshape(count, 3073)
    x = torch.from_numpy(raw[:, 1:].copy()).view(count, 3, 32, 32).float().div_(255)
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    std = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
    return TensorDataset((x - mean) / std, torch.from_numpy(raw[:, 0].astype(np.int64)))


def conv_bn(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        self.train_loader = DataLoader(read_cifar("data_batch_2.bin", cfg.train_images), batch_size=cfg.micro_batch, shuffle=True)
        self.test_loader = DataLoader(read_cifar("test_batch.bin", cfg.test_images), batch_size=100)
        self.model = nn.Sequential(conv_bn(3, 12, 2), conv_bn(12, 24, 2), conv_bn(24, 48, 2), conv_bn(48, 64),
                                   nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=cfg.momentum)
        self.total_steps = cfg.epochs * len(self.train_loader) // cfg.accumulate
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.factor)

    def factor(self, step, warmup=15):
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / (self.total_steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * progress))

    def train_epoch(self):
        self.model.train()
        running = 0.0
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(self.train_loader):
            loss = self.criterion(self.model(x), y)
            (loss / self.cfg.accumulate).backward()
            running += loss.item()
            if (i + 1) % self.cfg.accumulate == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.scheduler.step()
        return running / len(self.train_loader)

    @torch.no_grad()
    def test(self):
        self.model.eval()
        right = 0
        for x, y in self.test_loader:
            right += (self.model(x).argmax(1) == y).sum().item()
        return right / len(self.test_loader.dataset)

    def run(self):
        for epoch in range(self.cfg.epochs):
            print(f"epoch {epoch + 1:2d}  loss {self.train_epoch():.3f}")
        print(f"accuracy: {self.test():.3f}")


if __name__ == "__main__":
    Trainer(Config()).run()
