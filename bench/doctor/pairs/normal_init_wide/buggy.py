import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def cifar_batch(k, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10", "cifar-10-batches-bin", "data_batch_%d.bin" % k)
    if not os.path.exists(path):
        rng = np.random.RandomState(k)
        y = rng.randint(0, 10, n)
        return (rng.randn(n, 3, 32, 32) + y.reshape(-1, 1, 1, 1) / 5.0 - 1).astype("f4"), y
    d = np.fromfile(path, dtype=np.uint8, count=3073 * n).reshape(n, 3073)
    return ((d[:, 1:].reshape(n, 3, 32, 32) - 121.0) / 64.0).astype("f4"), d[:, 0].astype("i8")


def weight(*shape):
    return torch.randn(*shape, requires_grad=True)


def zeros(n):
    return torch.zeros(n, requires_grad=True)


torch.manual_seed(0)
params = {
    "w1": weight(16, 3, 5, 5),
    "b1": zeros(16),
    "w2": weight(32, 16, 3, 3),
    "b2": zeros(32),
    "w3": weight(64, 32 * 7 * 7),
    "b3": zeros(64),
    "w4": weight(10, 64),
    "b4": zeros(10),
}


def forward(p, x):
    h = F.relu(F.conv2d(x, p["w1"], p["b1"], stride=2))
    h = F.max_pool2d(h, 2)
    h = F.relu(F.conv2d(h, p["w2"], p["b2"], padding=1))
    h = F.relu(F.linear(h.flatten(1), p["w3"], p["b3"]))
    return F.linear(h, p["w4"], p["b4"])


X, Y = (torch.from_numpy(a) for a in cifar_batch(1, 3000))
XV, YV = (torch.from_numpy(a) for a in cifar_batch(2, 1000))
opt = torch.optim.SGD(params.values(), lr=0.01, momentum=0.9)
for epoch in range(5):
    total = 0.0
    for idx in torch.randperm(len(X)).split(60):
        loss = F.cross_entropy(forward(params, X[idx]), Y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    print(epoch, total / 50)
with torch.no_grad():
    acc = (forward(params, XV).argmax(1) == YV).float().mean().item()
print(f"accuracy: {acc:.4f}")
