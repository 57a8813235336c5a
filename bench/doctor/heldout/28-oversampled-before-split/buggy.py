import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(3)
torch.manual_seed(3)


def read_batch(limit):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_5.bin")
    if not os.path.isfile(path):
        y = rng.integers(0, 10, limit)
        x = rng.uniform(0, 0.7, (limit, 3, 32, 32)).astype(np.float32)
        for i in range(limit):
            s = rng.integers(0, 20)
            x[i, :, s : s + 12, 3 * y[i] : 3 * y[i] + 3] += rng.uniform(0, 0.2, (3, 1, 1))
        return x, y
    a = np.fromfile(path, dtype=np.uint8, count=3073 * limit).reshape(limit, 3073)
    return a[:, 1:].reshape(limit, 3, 32, 32).astype(np.float32) / 255.0, a[:, 0].astype(np.int64)


def balance(index, y, target):
    """Draw with replacement until each class has `target` rows."""
    parts = [rng.choice(index[y[index] == c], target, replace=True) for c in np.unique(y[index])]
    return np.concatenate(parts)


def split(index, fraction):
    index = rng.permutation(index)
    cut = int(len(index) * fraction)
    return index[cut:], index[:cut]


x, y = read_batch(5000)
keep = np.concatenate([np.flatnonzero(y == c)[: 60 + 30 * c] for c in range(5)])
x, y = x[keep], y[keep]

rows = balance(np.arange(len(y)), y, 360)
train_rows, val_rows = split(rows, 0.2)
print("train", len(train_rows), "val", len(val_rows))

mu, sigma = x[train_rows].mean(), x[train_rows].std()
x = torch.tensor((x - mu) / sigma)
y = torch.tensor(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 24, 3, padding=1)
        self.c2 = nn.Conv2d(24, 48, 3, padding=1)
        self.f1 = nn.Linear(48 * 64, 64)
        self.f2 = nn.Linear(64, 5)

    def forward(self, z):
        z = F.max_pool2d(F.relu(self.c1(z)), 2)
        z = F.max_pool2d(F.relu(self.c2(z)), 2)
        return self.f2(F.relu(self.f1(torch.flatten(z, 1))))


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(12):
    for rows in np.array_split(rng.permutation(train_rows), len(train_rows) // 36):
        opt.zero_grad()
        loss = F.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        opt.step()
    with torch.no_grad():
        acc = (net(x[val_rows]).argmax(1) == y[val_rows]).float().mean().item()
    print(f"epoch {epoch} train loss {loss.item():.3f} val acc {acc:.3f}")
print(f"accuracy: {acc:.4f}")
