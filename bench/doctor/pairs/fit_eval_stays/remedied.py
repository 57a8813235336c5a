import random

import numpy as np
import torch
import torch.nn as nn


def synth(n, seed):
    """Colour blobs: the class is given by which colour sits left of which."""
    rng = np.random.RandomState(seed)
    X = rng.rand(n, 3, 16, 16).astype("float32") * 0.7
    y = rng.randint(0, 6, n)
    pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]
    for i in range(n):
        a, b = pairs[y[i]]
        r1, r2 = rng.randint(0, 11, 2)
        c1, c2 = rng.randint(0, 4), rng.randint(8, 12)
        X[i, a, r1 : r1 + 4, c1 : c1 + 4] += 0.6
        X[i, b, r2 : r2 + 4, c2 : c2 + 4] += 0.6
    return torch.tensor(X * 2 - 1), torch.tensor(y)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        cin = 3
        for c in (16, 32):
            layers += [nn.Conv2d(cin, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
            cin = c
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 4 * 4, 6))

    def forward(self, x):
        return self.head(self.body(x))


def batches(X, y, size, shuffle):
    idx = torch.randperm(len(X)) if shuffle else torch.arange(len(X))
    for start in range(0, len(X), size):
        j = idx[start : start + size]
        yield X[j], y[j]


def fit(model, train, val, epochs=5, lr=0.2, bs=50):
    opt = torch.optim.SGD(model.parameters(), lr=lr)
    ce = nn.CrossEntropyLoss()
    print("before training:", score(model, val))
    for ep in range(epochs):
        model.train()
        for xb, yb in batches(*train, bs, True):
            opt.zero_grad()
            ce(model(xb), yb).backward()
            opt.step()
        print("epoch", ep, "val", score(model, val))


def score(model, data):
    model.eval()
    with torch.no_grad():
        ok = [(model(xb).max(1)[1] == yb).float().sum() for xb, yb in batches(*data, 200, False)]
    return (sum(ok) / len(data[1])).item()


if __name__ == "__main__":
    random.seed(0), torch.manual_seed(0)
    train, val = synth(2000, 1), synth(800, 2)
    model = Model()
    fit(model, train, val)
    print("accuracy: %.4f" % score(model, val))
