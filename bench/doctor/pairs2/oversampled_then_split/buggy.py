import os
from collections import Counter

import numpy as np
import torch
from torch import nn


class Data:
    """CIFAR cats, deer and dogs; dogs and deer are rare in this archive and are oversampled."""

    wanted = {3: 0, 4: 1, 5: 2}
    keep = [500, 90, 90]

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        images, labels = self.read()
        picked = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(self.keep)])
        picked = self.oversample(picked, labels)
        train, valid = self.split(picked)
        print("train", Counter(labels[train].tolist()), "valid", Counter(labels[valid].tolist()))
        mean = images[train].mean((0, 2, 3), keepdims=True)
        std = images[train].std((0, 2, 3), keepdims=True)
        images = (images - mean) / std
        self.train = torch.tensor(images[train]), torch.tensor(labels[train])
        self.valid = torch.tensor(images[valid]), torch.tensor(labels[valid])

    def read(self):
        root = os.environ.get("TENFOLD_DATA")
        if not root:
            y = self.rng.integers(0, 3, 6000)
            wave = 0.1 * np.sin(np.arange(32) * (1 + y[:, None]))
            x = self.rng.normal(0.5, 0.3, (6000, 3, 32, 32)) + wave[:, None, None]
            return x.astype(np.float32), y
        rows = []
        for part in (1, 2):
            name = os.path.join(root, "cifar10", "cifar-10-batches-bin", f"data_batch_{part}.bin")
            rows.append(np.fromfile(name, np.uint8).reshape(-1, 3073))
        rows = np.concatenate(rows)
        rows = rows[np.isin(rows[:, 0], list(self.wanted))]
        x = rows[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
        return x, np.array([self.wanted[v] for v in rows[:, 0].tolist()])

    def split(self, index):
        index = self.rng.permutation(index)
        cut = int(0.75 * len(index))
        return index[:cut], index[cut:]

    def oversample(self, index, labels):
        biggest = max(Counter(labels[index].tolist()).values())
        parts = []
        for k in range(3):
            mine = index[labels[index] == k]
            parts.append(np.resize(mine, biggest))
        return np.concatenate(parts)


def network():
    layers, c = [], 3
    for width in (12, 24, 48):
        layers += [nn.Conv2d(c, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        c = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 16, 3))


torch.manual_seed(0)
data = Data()
net, lossf = network(), nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
x, y = data.train
for epoch in range(10):
    net.train()
    for idx in torch.randperm(len(y)).split(64):
        if len(idx) < 16:
            continue
        batch = x[idx]
        flip = torch.rand(len(idx)) < 0.5
        batch[flip] = batch[flip].flip(3)
        opt.zero_grad()
        loss = lossf(net(batch), y[idx])
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", round(loss.item(), 3))
net.eval()
vx, vy = data.valid
with torch.no_grad():
    out = torch.cat([net(b) for b in vx.split(200)])
print("accuracy: %.3f" % (out.argmax(1) == vy).float().mean().item())
