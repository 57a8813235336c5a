"""Small residual net on a slice of CIFAR-10.

Memory is tight on the machine this was written for, so each optimiser step
sums the gradients of two micro-batches of 32 (effective batch: 64).  The
gradients are dropped *after* the step; before the first step they are None.
The last batch-norm scale of every residual branch starts at zero, so the net
begins as its shortcut path (Goyal et al., 2017).
"""
import os
import random

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
MICRO, ACCUM, EPOCHS = 32, 2, 3
ROOT = os.environ["TENFOLD_DATA"] + "/cifar10/cifar-10-batches-bin"
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def read(name, count):
    raw = np.fromfile(f"{ROOT}/{name}", dtype=np.uint8, count=count * 3073).reshape(-1, 3073)
    labels = torch.from_numpy(raw[:, 0].astype(np.int64))
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return TensorDataset((images - MEAN) / STD, labels)


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        nn.init.zeros_(self.bn2.weight)
        self.short = nn.Identity()
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


def build():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )


def flip_some(x):
    mirror = torch.rand(len(x), 1, 1, 1) < 0.5
    return torch.where(mirror, x.flip(3), x)


@torch.no_grad()
def evaluate(net, loader):
    net.eval()
    right = total = 0
    for x, y in loader:
        right += (net(x).argmax(1) == y).sum().item()
        total += len(y)
    return right / total


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    train = DataLoader(read("data_batch_1.bin", 3072), batch_size=MICRO, shuffle=True, drop_last=True)
    valid = DataLoader(read("data_batch_5.bin", 500), batch_size=250)
    assert len(train) % ACCUM == 0  # no half-filled accumulation at the end of an epoch

    net = build()
    steps = EPOCHS * len(train) // ACCUM
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps)

    for epoch in range(EPOCHS):
        net.train()
        running = 0.0
        for i, (x, y) in enumerate(train):
            loss = F.cross_entropy(net(flip_some(x)), y)
            running += loss.item()
            (loss / ACCUM).backward()
            if (i + 1) % ACCUM == 0:
                opt.step()
                sched.step()
                opt.zero_grad(set_to_none=True)
        print(f"epoch {epoch + 1}: train loss {running / len(train):.3f}, valid {evaluate(net, valid):.3f}")

    print(f"accuracy: {evaluate(net, valid):.3f}")


if __name__ == "__main__":
    main()
