"""Fine-tuning: a backbone learned on one task is frozen, then partly thawed.

Stage 1 trains backbone and head on stripe directions (8 of them).
Stage 2 loads the backbone's weights, freezes it (its batch norms stay in eval
mode, so their running statistics do not move) and trains a new head on another
task: stripes, checks or dots.  Stage 3 thaws the last block at a very low rate.
"""
import io

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

S = 18


def wave(rng, n, theta):
    yy, xx = np.mgrid[0:S, 0:S]
    theta = theta.reshape(n, 1, 1)
    u = np.cos(theta) * xx + np.sin(theta) * yy
    v = np.cos(theta) * yy - np.sin(theta) * xx
    f, p, q = rng.uniform(0.8, 1.4, (n, 1, 1)), *rng.uniform(0, 6.28, (2, n, 1, 1))
    return np.sin(f * u + p), np.sin(f * v + q)


def noisy(rng, img):
    img = img * rng.uniform(0.8, 1.2, (len(img), 1, 1)) + rng.normal(0, 0.3, img.shape)
    return torch.from_numpy((img / 0.75).astype(np.float32))[:, None]  # about unit variance


def directions(n, rng):
    y = rng.integers(0, 8, n)
    a, _ = wave(rng, n, y * np.pi / 8 + rng.uniform(-0.08, 0.08, n))
    return noisy(rng, a), torch.from_numpy(y)


def patterns(n, rng):
    y = rng.integers(0, 3, n)
    a, b = wave(rng, n, rng.uniform(0, np.pi, n))
    dots = 2.0 * ((a > 0.2) & (b > 0.2)) - 0.5
    img = np.choose(y.reshape(n, 1, 1), [a, np.sign(a * b) * 0.8, dots])
    return noisy(rng, img), torch.from_numpy(y)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())

    def forward(self, x):
        return F.adaptive_avg_pool2d(self.high(self.low(x)), 1).flatten(1)


def epoch_of(model, opt, x, y):
    for idx in torch.randperm(len(x)).split(40):
        opt.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        opt.step()


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(14)
rng = np.random.default_rng(14)

# 1. the source task
x, y = directions(1200, rng)
source = nn.Sequential(Backbone(), nn.Linear(32, 8))
opt = torch.optim.Adam(source.parameters(), lr=3e-3)
for _ in range(4):
    source.train()
    epoch_of(source, opt, x, y)
store = io.BytesIO()
torch.save(source[0].state_dict(), store)
store.seek(0)

# 2. a new head on the frozen backbone
x, y = patterns(400, rng)
xv, yv = patterns(300, rng)
backbone = Backbone()
backbone.load_state_dict(torch.load(store, weights_only=True))
backbone.requires_grad_(False)
head = nn.Linear(32, 3)
model = nn.Sequential(backbone, head)
opt = torch.optim.Adam(head.parameters(), lr=1e-2)
for _ in range(12):
    model.train()
    backbone.eval()
    epoch_of(model, opt, x, y)
print(f"frozen: {accuracy(model, xv, yv):.3f}")

# 3. thaw the last block
backbone.high.requires_grad_(True)
opt = torch.optim.Adam([
    {"params": backbone.high.parameters(), "lr": 2e-4},
    {"params": head.parameters(), "lr": 2e-3},
])
for _ in range(6):
    model.train()
    backbone.eval()  # batch-norm statistics stay those of the source task
    epoch_of(model, opt, x, y)
print(f"accuracy: {accuracy(model, xv, yv):.3f}")
