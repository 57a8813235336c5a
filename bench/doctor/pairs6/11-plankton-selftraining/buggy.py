"""Self-training for plankton silhouettes.

A teacher learns from the few frames that the biologists have sorted by hand, labels
the unsorted frames it is sure about, and a student learns from both.
"""
import argparse
import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

TAXA = ["diatom", "copepod", "chain", "ring", "star"]
SIDE = 24


def silhouette(kind, rng):
    yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    cy, cx = rng.uniform(9, 15, 2)
    a = rng.uniform(0, np.pi)
    u = (xx - cx) * np.cos(a) + (yy - cy) * np.sin(a)
    v = -(xx - cx) * np.sin(a) + (yy - cy) * np.cos(a)
    r = np.hypot(u, v)
    s = rng.uniform(5.0, 8.0)
    if kind == 0:                                   # thin needle
        m = (abs(u) < s + 1) & (abs(v) < 1.2)
    elif kind == 1:                                 # body with antennae
        m = ((u / s) ** 2 + (v / (0.45 * s)) ** 2 < 1) | ((abs(u - 0.6 * s) < 0.8) & (abs(v) < s))
    elif kind == 2:                                 # chain of cells
        m = (abs(u) < s + 2) & (np.hypot((u + 20) % 4 - 2, v) < 1.6)
    elif kind == 3:
        m = abs(r - 0.7 * s) < 1.2
    else:
        th = np.arctan2(v, u)
        m = r < s * (0.35 + 0.65 * np.cos(2.5 * th) ** 8)
    img = m * rng.uniform(0.5, 1.0) + rng.uniform(0, 0.3) + rng.normal(0, 0.13, (SIDE, SIDE))
    return img.astype(np.float32)


def collect(n, rng):
    y = rng.integers(0, len(TAXA), n)
    x = np.stack([silhouette(k, rng) for k in y])
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 6 * 6, len(TAXA))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


def batches(dataset, batch_size, shuffle=True, drop_last=False):
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, drop_last=drop_last)


def train(args, model, dataset, epochs, val_set):
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    best_acc, best_state = -1.0, None
    for epoch in range(1, epochs + 1):
        model.train()
        total, seen = 0.0, 0
        for x, y in batches(dataset, args.batch_size, drop_last=True):
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
            seen += len(y)
        acc = accuracy(model, val_set)
        print(f"  epoch {epoch:2d}  loss {total / seen:.3f}  val {acc:.3f}")
        if acc > best_acc:
            best_acc, best_state = acc, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)


@torch.no_grad()
def class_probabilities(model, loader):
    model.eval()
    return torch.cat([model(x).softmax(dim=1) for x, *_ in loader])


@torch.no_grad()
def accuracy(model, dataset):
    model.eval()
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in batches(dataset, 256, shuffle=False))
    return hits / len(dataset)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--labelled", type=int, default=300)
    p.add_argument("--unlabelled", type=int, default=1400)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--confidence", type=float, default=0.8)
    p.add_argument("--seed", type=int, default=11)
    args = p.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x_l, y_l = collect(args.labelled, rng)
    x_u, _ = collect(args.unlabelled, rng)
    x_v, y_v = collect(250, rng)
    x_t, y_t = collect(500, rng)
    mean, std = x_l.mean(), x_l.std()
    x_l, x_u, x_v, x_t = ((t - mean) / std for t in (x_l, x_u, x_v, x_t))
    sorted_set, val_set, test_set = TensorDataset(x_l, y_l), TensorDataset(x_v, y_v), TensorDataset(x_t, y_t)

    print("teacher")
    teacher = Net()
    train(args, teacher, sorted_set, 16, val_set)

    probs = class_probabilities(teacher, batches(TensorDataset(x_u), 256))
    conf, guess = probs.max(dim=1)
    sure = conf >= args.confidence
    print(f"teacher is sure about {int(sure.sum())} of {len(x_u)} unsorted frames")
    guessed_set = TensorDataset(x_u[sure], guess[sure])

    print("student")
    student = Net()
    train(args, student, ConcatDataset([sorted_set, guessed_set]), 8, val_set)

    print(f"student test accuracy {accuracy(student, test_set):.4f}")


if __name__ == "__main__":
    main()
