import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def get_split(per_class, seed):
    """Images sorted by class, as they come out of class folders: brightness centre and hue differ by class."""
    r = np.random.default_rng(seed)
    xs, ys = [], []
    for c in range(5):
        im = r.normal(0.4, 0.12, (per_class, 3, 16, 16))
        im[:, c % 3, 4:12, 4:12] += 0.25
        if c >= 3:
            im[:, (c + 1) % 3, 4:12, 4:12] += 0.25
        im += r.uniform(-0.1, 0.1, (per_class, 1, 1, 1))
        xs.append(im)
        ys += [c] * per_class
    x = np.concatenate(xs).astype(np.float32)
    return TensorDataset(torch.from_numpy((x - 0.45) / 0.2), torch.tensor(ys))


def net(width, drop):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(drop),
        nn.Linear(2 * width, 5),
    )


def train_epoch(model, loader, opt, crit):
    model.train()
    for x, y in loader:
        opt.zero_grad()
        crit(model(x), y).backward()
        opt.step()


@torch.no_grad()
def validate(model, loader, crit):
    loss, good, n = 0.0, 0, 0
    for x, y in loader:
        out = model(x)
        loss += crit(out, y).item() * y.size(0)
        good += out.argmax(1).eq(y).sum().item()
        n += y.size(0)
    return loss / n, good / n


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--bs", type=int, default=50)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--dropout", type=float, default=0.3)
    a = ap.parse_args()
    torch.manual_seed(0)
    tr = DataLoader(get_split(300, 0), a.bs, shuffle=True)
    va = DataLoader(get_split(100, 1), a.bs)
    model = net(16, a.dropout)
    opt = torch.optim.Adam(model.parameters(), lr=a.lr)
    crit = nn.CrossEntropyLoss()
    for ep in range(a.epochs):
        train_epoch(model, tr, opt, crit)
        l, acc = validate(model, va, crit)
        print(f"epoch {ep}: val loss {l:.3f} acc {acc:.3f}")
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
