import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


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


def small_gray(x):
    gray = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return F.avg_pool2d(gray, 2) / 255


torch.manual_seed(0)
(x, y), (xv, yv) = cifar(1, 4000), cifar(2, 1000)
x, xv = small_gray(x), small_gray(xv)
m, s = x.mean(), x.std()
x, xv = (x - m) / s, (xv - m) / s
net = nn.Sequential(
    nn.Conv2d(1, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(512, 10),
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(5):
    for i in torch.randperm(len(x)).split(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[i]), y[i])
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(xv).argmax(1) == yv).float().mean().item())
