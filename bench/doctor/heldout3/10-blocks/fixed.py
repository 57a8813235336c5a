"""Plain strided CNN on a CIFAR-10 slice, driven by a list of block settings."""
import os
from dataclasses import dataclass, field
from typing import List, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

DATA = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
RECORD = 3073


@dataclass
class Settings:
    blocks: List[Tuple[int, int]] = field(default_factory=lambda: [(24, 2), (48, 2), (64, 2)])
    n_train: int = 3000
    n_test: int = 1000
    batch: int = 50
    epochs: int = 6
    lr: float = 3e-3
    seed: int = 21


def read(name, n):
    with open(os.path.join(DATA, name), "rb") as handle:
        buffer = np.frombuffer(handle.read(RECORD * n), dtype=np.uint8).reshape(n, RECORD)
    x = buffer[:, 1:].reshape(n, 3, 32, 32).astype("float32") / 255.0
    return torch.from_numpy(x), torch.from_numpy(buffer[:, 0].astype("int64"))


class ConvBlock(nn.Module):
    def __init__(self, c_in, c_out, stride, activate=True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.activate = activate

    def forward(self, x):
        x = self.norm(self.conv(x))
        if self.activate:
            x = F.relu(x)
        return x


class Backbone(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        c = 3
        self.stages = nn.ModuleList()
        for width, stride in blocks:
            self.stages.append(ConvBlock(c, width, stride))
            c = width
        self.fc = nn.Linear(c * 4, 10)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.fc(F.avg_pool2d(x, 2).flatten(1))


def fit(net, x, y, s):
    optimizer = torch.optim.Adam(net.parameters(), lr=s.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=s.epochs)
    for epoch in range(s.epochs):
        net.train()
        perm = torch.randperm(len(x))
        history = []
        for start in range(0, len(x), s.batch):
            pick = perm[start:start + s.batch]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x[pick]), y[pick])
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        scheduler.step()
        print(f"{epoch + 1}/{s.epochs}  loss {np.mean(history):.3f}")


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    return (net(x).argmax(dim=1) == y).float().mean().item()


def main():
    s = Settings()
    torch.manual_seed(s.seed)
    x, y = read("data_batch_3.bin", s.n_train)
    xt, yt = read("test_batch.bin", s.n_test)
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    std = x.std(dim=(0, 2, 3), keepdim=True)
    net = Backbone(s.blocks)
    fit(net, (x - mean) / std, y, s)
    print(f"accuracy: {accuracy(net, (xt - mean) / std, yt):.3f}")


if __name__ == "__main__":
    main()
