"""Tyre tread patterns from a drive-over scanner.

Usage: python tyres.py            (settings through the environment: EPOCHS, LR, WD)
"""
import os

import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset

TREADS = ["rib", "lug", "block", "chevron", "asymmetric"]
EPOCHS = int(os.environ.get("EPOCHS", 6))
LR = float(os.environ.get("LR", 0.03))
WD = float(os.environ.get("WD", 0.12))


def scan(tread, rng, n=32):
    y, x = np.mgrid[:n, :n].astype(float)
    t = rng.uniform(-.12, .12)
    x, y = x * np.cos(t) - y * np.sin(t) - n / 2 + rng.uniform(-2, 2), x * np.sin(t) + y * np.cos(t) + rng.uniform(0, n)
    p, q = rng.uniform(7, 10), rng.uniform(6, 9)                 # pitch across and along
    w = rng.uniform(.22, .34)                                    # share of groove
    groove = lambda v: (v % 1) < w
    ribs, cross = groove(x / p + .5), groove(y / q)
    if tread == 0:
        g = ribs
    elif tread == 1:
        g = groove((y + 3 * np.sign(x)) / q) & (np.abs(x) > rng.uniform(2, 4))
    elif tread == 2:
        g = ribs | groove((y + .5 * q * (np.floor(x / p + .5) % 2)) / q)
    elif tread == 3:
        g = groove((y - rng.uniform(.6, .9) * np.abs(x)) / q)
    else:
        g = np.where(x < 0, ribs, cross)
    wear = rng.uniform(.25, .9)
    h = gaussian_filter(1 - wear * g, rng.uniform(.5, 1.1)) - (x / n) ** 2 * rng.uniform(0, .6)
    h -= .25 * gaussian_filter(rng.normal(0, 2, (n, n)), 1.5).clip(0)                   # mud
    return (h + rng.normal(0, .5, (n, n))).astype(np.float32)


class Scans(Dataset):
    def __init__(self, n, seed, train=False, norm=None):
        rng = np.random.default_rng(seed)
        self.t = rng.integers(len(TREADS), size=n)
        self.x = torch.from_numpy(np.stack([scan(t, rng) for t in self.t]))[:, None]
        self.train = train
        self.norm = norm or (self.x.mean(), self.x.std())

    def __len__(self):
        return len(self.t)

    def __getitem__(self, i):
        x = (self.x[i] - self.norm[0]) / self.norm[1]
        if self.train:                                           # the wheel turns: any phase along the tread
            x = x.roll(int(torch.randint(-3, 4, (1,))), 1)
        return x, int(self.t[i])


def conv_norm(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout))


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a, self.b = conv_norm(cin, cout, stride), conv_norm(cout, cout)
        self.short = conv_norm(cin, cout, stride) if stride > 1 or cin != cout else nn.Identity()

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))) + self.short(x))


class TreadNet(nn.Module):
    def __init__(self, w=12):
        super().__init__()
        self.stem = conv_norm(1, w)
        self.stages = nn.Sequential(Residual(w, 2 * w, 2), Residual(2 * w, 3 * w, 2), Residual(3 * w, 4 * w, 2))
        self.fc = nn.Linear(4 * w, len(TREADS))

    def forward(self, x):
        x = self.stages(torch.relu(self.stem(x)))
        return self.fc(x.mean((2, 3)))


def parameter_groups(model, wd):
    """Two groups: convolution and linear weights are decayed, everything else is left alone."""
    decay, plain = [], []
    for name, p in model.named_parameters():
        if p.ndim < 2 or name.endswith("bias"):
            plain.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": wd}, {"params": plain, "weight_decay": 0.0}]


def evaluate(model, loader):
    model.eval()
    n = ok = 0
    with torch.no_grad():
        for x, t in loader:
            ok += (model(x).argmax(1) == t).sum().item()
            n += len(t)
    return ok / n


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    train = Scans(1100, 100, train=True)
    val, test = Scans(250, 200, norm=train.norm), Scans(500, 300, norm=train.norm)
    loader = DataLoader(train, batch_size=50, shuffle=True)
    model = TreadNet()
    opt = torch.optim.SGD(parameter_groups(model, WD), lr=LR, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, LR, epochs=EPOCHS, steps_per_epoch=len(loader), pct_start=.2)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for x, t in loader:
            loss = criterion(model(x), t)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() / len(loader)
        print(f"{epoch + 1}/{EPOCHS} loss={total:.4f} val={evaluate(model, DataLoader(val, 125)):.4f}")
    print(f"test={evaluate(model, DataLoader(test, 125)):.4f}")


if __name__ == "__main__":
    main()
