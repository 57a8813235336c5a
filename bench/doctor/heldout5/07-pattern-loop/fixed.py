#!/usr/bin/env python3
# Four kinds of printed patterns; a fully convolutional net with a variable number of layers.

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 20
KINDS = ["rows", "columns", "checks", "rings"]


def pattern(kind, rng):
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    w = 2 * np.pi / rng.uniform(4.0, 6.5)
    a, b = rng.uniform(0, 2 * np.pi, 2)
    if kind == "rows":
        img = np.sin(w * y + a)
    elif kind == "columns":
        img = np.sin(w * x + a)
    elif kind == "checks":
        img = np.sin(w * x + a) * np.sin(w * y + b)
    else:
        cx, cy = rng.uniform(5, SIDE - 5, 2)
        img = np.sin(w * np.hypot(x - cx, y - cy) + a)
    img = img / img.std() + rng.normal(0, 0.6, img.shape)
    return (img - img.mean()) / img.std()


def make(n, rng):
    labels = np.arange(n) % len(KINDS)
    rng.shuffle(labels)
    images = np.array([pattern(KINDS[k], rng) for k in labels], dtype=np.float32)
    return torch.from_numpy(images[:, None]), torch.from_numpy(labels)


class PatternNet(nn.Module):
    def __init__(self, widths=(16, 32, 48), n_classes=4):
        super().__init__()
        sizes = (1,) + tuple(widths)
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for i in range(len(widths)):
            stride = 1 if i == 0 else 2
            self.convs.append(nn.Conv2d(sizes[i], sizes[i + 1], 3, stride=stride, padding=1, bias=False))
            self.norms.append(nn.BatchNorm2d(sizes[i + 1]))
        self.out = nn.Linear(widths[-1], n_classes)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = norm(conv(x))
            x = F.relu(x)
        x = x.mean(dim=(2, 3))
        return self.out(x)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def train(net, x, y, epochs=5, batch=40):
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x))
        total = 0.0
        for start in range(0, len(x), batch):
            pick = order[start:start + batch]
            loss = F.cross_entropy(net(x[pick]), y[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(pick)
        print("epoch %d  loss %.4f  train accuracy %.3f" % (epoch + 1, total / len(x), accuracy(net, x, y)))


if __name__ == "__main__":
    torch.manual_seed(0)
    rng = np.random.default_rng(100)
    train_x, train_y = make(1600, rng)
    test_x, test_y = make(400, rng)
    model = PatternNet()
    train(model, train_x, train_y)
    print("accuracy: %.3f" % accuracy(model, test_x, test_y))
