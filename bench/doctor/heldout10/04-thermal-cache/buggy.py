"""
thermal_cls.py -- which component on the board is overheating?

Frames come from a cheap 40x40 microbolometer (8 bit, no palette).  We simulate
them here so that the script is self-contained.  Classes:
    0 nothing   1 regulator   2 cpu   3 inductor   4 connector   5 trace short
"""
import logging
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
log = logging.getLogger("thermal")

H = W = 40
N_STATES = 6
EPOCHS = 4


class BoardSimulator:
    SPOTS = {1: (10, 10, 3, 3), 2: (20, 24, 6, 6), 3: (30, 9, 4, 3), 4: (8, 31, 2, 6)}

    def __init__(self, seed):
        self.r = np.random.default_rng(seed)
        self.rows, self.cols = np.mgrid[0:H, 0:W]

    def blob(self, cy, cx, sy, sx):
        return np.exp(-((self.rows - cy) / sy) ** 2 - ((self.cols - cx) / sx) ** 2)

    def frame(self, state):
        r = self.r
        f = 70 + 12 * r.normal() + 18 * self.blob(20, 20, 25, 25)
        dy, dx = r.normal(0, 2.0, 2)
        for k, (cy, cx, sy, sx) in self.SPOTS.items():      # every part is a bit warm
            f = f + r.uniform(5, 22) * self.blob(cy + dy, cx + dx, sy, sx)
        if state in self.SPOTS:
            cy, cx, sy, sx = self.SPOTS[state]
            f = f + r.uniform(30, 60) * self.blob(cy + dy, cx + dx, sy, sx)
        elif state == 5:
            c = r.uniform(12, 28)
            tilt = r.uniform(-0.4, 0.4)
            d = np.abs(self.cols - c - tilt * (self.rows - 20))
            f = f + r.uniform(25, 50) * np.exp(-(d / 1.3) ** 2)
        f = f + r.normal(0, 5, f.shape)
        return np.clip(f, 0, 245).astype(np.uint8)           # the ADC saturates at 245

    def record(self, n):
        states = self.r.integers(0, N_STATES, n)
        return np.stack([self.frame(s) for s in states]), states


def rescale(frames):
    """Raw counts -> [0, 1], frame by frame (the real archive doesn't fit in memory twice)."""
    out = np.empty_like(frames)
    for i, fr in enumerate(frames):
        out[i] = fr / 255.0
    return out


def prepare(folder, name, seed, n):
    path = os.path.join(folder, name + ".npz")
    raw, states = BoardSimulator(seed).record(n)
    np.savez(path, x=rescale(raw), y=states)
    log.info("cached %d frames in %s", n, path)
    return path


def load(path, mean=None, std=None):
    with np.load(path) as z:
        x, y = z["x"].astype(np.float32), z["y"]
    if mean is None:
        mean, std = float(x.mean()), float(x.std()) + 1e-6
    x = torch.from_numpy((x - mean) / std)[:, None]
    return TensorDataset(x, torch.from_numpy(y)), mean, std


class Residual(nn.Module):
    def __init__(self, ch_in, ch, stride=1):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(ch_in, ch, 3, stride, 1, bias=False), nn.BatchNorm2d(ch))
        self.b = nn.Sequential(nn.Conv2d(ch, ch, 3, 1, 1, bias=False), nn.BatchNorm2d(ch))
        self.skip = nn.Identity()
        if stride != 1 or ch_in != ch:
            self.skip = nn.Sequential(nn.Conv2d(ch_in, ch, 1, stride, bias=False), nn.BatchNorm2d(ch))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.b(self.relu(self.a(x))) + self.skip(x))


def build():
    return nn.Sequential(
        Residual(1, 12, 2),
        Residual(12, 24, 2),
        Residual(24, 32, 2),
        nn.Flatten(),
        nn.Linear(32 * 5 * 5, N_STATES),
        nn.LogSoftmax(dim=1),
    )


def accuracy(net, loader):
    net.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right += int((net(x).argmax(1) == y).sum())
            total += y.numel()
    return right / total


def main():
    torch.manual_seed(42)
    with tempfile.TemporaryDirectory() as tmp:
        train_set, mean, std = load(prepare(tmp, "train", 1, 1280))
        val_set, _, _ = load(prepare(tmp, "val", 2, 400), mean, std)
    log.info("input mean %.4f std %.4f", mean, std)

    train_dl = DataLoader(train_set, batch_size=32, shuffle=True)
    val_dl = DataLoader(val_set, batch_size=200)
    net = build()
    nll = nn.NLLLoss()
    optim = torch.optim.RMSprop(net.parameters(), lr=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(optim, EPOCHS)

    for ep in range(EPOCHS):
        net.train()
        total = 0.0
        for x, y in train_dl:
            optim.zero_grad()
            loss = nll(net(x), y)
            loss.backward()
            optim.step()
            total += loss.item()
        sched.step()
        log.info("epoch %d nll %.4f val acc %.4f", ep, total / len(train_dl), accuracy(net, val_dl))
    print(f"val accuracy = {accuracy(net, val_dl):.4f}")


if __name__ == "__main__":
    main()
