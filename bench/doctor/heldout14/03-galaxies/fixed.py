#!/usr/bin/env python
"""Galaxy morphology from small cut-outs, trained with mixup and smoothed targets."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

TYPES = ("elliptical", "spiral", "barred", "ring", "edge-on", "pair")


def render(kind, rng, size=30):
    yy, xx = np.mgrid[:size, :size].astype(float)
    x0, y0 = size / 2 - 0.5 + rng.normal(0, 1.5, 2)
    pa = rng.uniform(0, np.pi)
    u = (xx - x0) * np.cos(pa) + (yy - y0) * np.sin(pa)
    v = -(xx - x0) * np.sin(pa) + (yy - y0) * np.cos(pa)
    scale = rng.uniform(3.0, 5.0)
    q = rng.uniform(0.75, 1.0)
    r, t = np.hypot(u, v / q), np.arctan2(v / q, u)
    if kind == "elliptical":
        img = np.exp(-((r / scale) ** 0.8) * 1.6)
    elif kind == "spiral":
        arms = np.cos(2 * (t - rng.choice([-1, 1]) * np.log(r + 1) * 2.6))
        img = 0.6 * np.exp(-r / (0.4 * scale)) + np.exp(-r / (1.4 * scale)) * (0.5 + 0.5 * arms) ** 2
    elif kind == "barred":
        bar = np.exp(-((u / (1.5 * scale)) ** 4) - (v / (0.35 * scale)) ** 2)
        img = 0.7 * bar + 0.35 * np.exp(-r / (1.2 * scale))
    elif kind == "ring":
        img = 0.5 * np.exp(-r / (0.4 * scale)) + 0.6 * np.exp(-(((r - 2 * scale) / (0.4 * scale)) ** 2))
    elif kind == "edge-on":
        img = np.exp(-abs(u) / (1.5 * scale) - abs(v) / (0.25 * scale))
    else:
        d = rng.uniform(1.0, 1.6) * scale
        img = sum(a * np.exp(-np.hypot(u - s * d, v) / (0.55 * scale)) for s, a in ((-1, 0.8), (1, rng.uniform(0.5, 1))))
    img = gaussian_filter(img, rng.uniform(0.6, 1.1)) * rng.uniform(0.6, 1.4)
    return img + rng.normal(0, rng.uniform(0.05, 0.13), img.shape)


def sample(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(TYPES))
    x = np.stack([render(TYPES[k], rng) for k in labels])[:, None]
    return torch.as_tensor(np.arcsinh(4 * x), dtype=torch.float32), torch.as_tensor(labels)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def smooth_targets(y, classes, eps):
    return F.one_hot(y, classes).float() * (1 - eps) + eps / classes


def mixup(x, t, alpha):
    lam = float(np.random.beta(alpha, alpha))
    other = torch.randperm(len(x))
    return lam * x + (1 - lam) * x[other], lam * t + (1 - lam) * t[other]


def soft_cross_entropy(logits, targets):
    log_p = F.log_softmax(logits, dim=1)
    return -(targets * log_p).sum(dim=1).mean()


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=10)
    ap.add_argument("--batch", type=int, default=50)
    ap.add_argument("--lr", type=float, default=0.03)
    ap.add_argument("--smoothing", type=float, default=0.05)
    ap.add_argument("--alpha", type=float, default=0.2)
    ap.add_argument("--seed", type=int, default=42)
    args = ap.parse_args()

    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    x_train, y_train = sample(1500, args.seed + 1)
    x_test, y_test = sample(600, args.seed + 2)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

    net = Net(len(TYPES))
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs)
    for epoch in range(args.epochs):
        net.train()
        losses = []
        for idx in torch.randperm(len(x_train)).split(args.batch):
            t = smooth_targets(y_train[idx], len(TYPES), args.smoothing)
            xb, tb = mixup(x_train[idx], t, args.alpha)
            loss = soft_cross_entropy(net(xb), tb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        sched.step()
        print(f"[{epoch + 1}/{args.epochs}] train loss {np.mean(losses):.4f}")
    print(f"test accuracy {accuracy(net, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
