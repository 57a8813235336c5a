import os

import numpy as np
import torch
import torch.nn as nn


def open_batch(k, n=2000):
    p = os.environ.get("TENFOLD_DATA", "") + f"/cifar10/cifar-10-batches-bin/data_batch_{k}.bin"
    if not os.path.exists(p):
        r = np.random.RandomState(k)
        y = r.randint(0, 10, n)
        return np.clip(np.linspace(30, 220, 10)[y, None, None, None] + r.randn(n, 3, 32, 32) * 40, 0, 255).astype(
            np.uint8
        ), y
    d = np.fromfile(p, np.uint8, n * 3073).reshape(n, -1)
    return d[:, 1:].reshape(n, 3, 32, 32), d[:, 0].astype(np.int64)


class BatchIterator:
    def __init__(self, k, size=50, shuffle=True):
        self.x, self.y = open_batch(k)
        self.size, self.shuffle = size, shuffle

    def __iter__(self):
        order = np.random.permutation(len(self.y)) if self.shuffle else np.arange(len(self.y))
        for i in range(0, len(order), self.size):
            j = order[i : i + self.size]
            x = torch.from_numpy(self.x[j]).float() / 128 - 1
            yield x, torch.from_numpy(self.y[j])


np.random.seed(0)
torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 12, 5, stride=2),
    nn.ReLU(),
    nn.Conv2d(12, 24, 5, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 25, 10),
)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
crit = nn.CrossEntropyLoss()
for e in range(4):
    for x, y in BatchIterator(1):
        out = net(x)
        loss = crit(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(e, loss.item())

net.eval()
n = ok = 0
for x, y in BatchIterator(5, shuffle=False):
    with torch.no_grad():
        ok += (net(x).argmax(1) == y).sum().item()
    n += len(y)
print("accuracy: %.4f" % (ok / n))
