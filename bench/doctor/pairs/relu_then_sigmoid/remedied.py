import os

import numpy as np
import torch
from torch import nn

ACT = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def layer(cin, cout, act="relu", pool=True):
    mods = [nn.Conv2d(cin, cout, 3, padding=1), ACT[act]()]
    if pool:
        mods.append(nn.MaxPool2d(2))
    return mods


def build():
    mods = layer(3, 16) + layer(16, 32) + layer(32, 32)
    return nn.Sequential(*mods, nn.Flatten(), nn.Linear(32 * 16, 10))


def batch_file(i):
    return os.path.join(os.environ.get("TENFOLD_DATA", ""), f"cifar10/cifar-10-batches-bin/data_batch_{i}.bin")


def images(i, n):
    if os.path.exists(batch_file(i)):
        a = np.fromfile(batch_file(i), np.uint8)[: n * 3073].reshape(n, 3073)
        return torch.tensor(a[:, 1:].reshape(n, 3, 32, 32) / 127.5 - 1, dtype=torch.float), torch.tensor(a[:, 0]).long()
    r = np.random.RandomState(i)
    y = torch.from_numpy(r.randint(0, 10, n))
    return torch.from_numpy(r.randn(n, 3, 32, 32)).float() + y[:, None, None, None] / 5 - 1, y


torch.manual_seed(0)
x, y = images(1, 2500)
xv, yv = images(2, 800)
net = build()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(6):
    for k in torch.randperm(2500).split(50):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x[k]), y[k])
        loss.backward()
        opt.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(xv).argmax(1) == yv).float().mean().item())
