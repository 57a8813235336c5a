"""ResNet-like net on CIFAR-10, mean/std inputs, SGD 0.1."""

import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2023, 0.1994, 0.2010]).view(1, 3, 1, 1)


def cifar(part, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part)
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        return torch.from_numpy(a[:, 1:].reshape(n, 3, 32, 32).astype(np.float32)), torch.from_numpy(
            a[:, 0].astype(np.int64)
        )
    rng = np.random.RandomState(part)
    y = rng.randint(0, 10, n)
    x = np.clip(rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None], 0, 255).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = (
            nn.Identity()
            if stride == 1 and cin == cout
            else nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.short(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layers = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


def augment(x):
    if torch.rand(1) < 0.5:
        x = x.flip(3)
    dx, dy = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(x, (dx, dy), (2, 3))


torch.manual_seed(0)
(xt, yt), (xv, yv) = cifar(1, 4000), cifar(2, 1000)
xt, xv = (xt / 255 - MEAN) / STD, (xv / 255 - MEAN) / STD
net = ResNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
epochs = 6
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
for epoch in range(epochs):
    net.train()
    for idx in torch.randperm(len(xt)).split(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(augment(xt[idx])), yt[idx])
        loss.backward()
        optimizer.step()
    scheduler.step()
    print(epoch, loss.item())
net.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (net(xv).argmax(1) == yv).float().mean().item())
