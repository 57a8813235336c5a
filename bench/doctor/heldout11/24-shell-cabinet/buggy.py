# %% [markdown]
# Sea shells from the cabinet: which of five families?

# %%
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

FAMILIES = ["nautilus", "scallop", "cone", "clam", "turret"]
SIZE = 28

# %% drawing
yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


def polar(cx, cy, turn):
    dx, dy = xx - cx, yy - cy
    return np.hypot(dx, dy), np.arctan2(dy, dx) + turn


def draw_shell(family, rng):
    cx, cy = rng.uniform(10, 18, size=2)
    turn = rng.uniform(-0.6, 0.6)
    scale = rng.uniform(7.0, 10.5)
    r, a = polar(cx, cy, turn)
    u, v = r * np.cos(a), r * np.sin(a)
    if family == 0:
        arms = np.sin(a - 3.0 * np.log(r + 1.0) * rng.choice([-1, 1]))
        pic = (r < scale) * (0.55 + 0.45 * arms)
    elif family == 1:
        fan = np.abs(a) < 1.3
        pic = (r < scale * 1.2) * fan * (0.55 + 0.45 * np.cos(rng.integers(9, 14) * a))
    elif family == 2:
        inside = (np.abs(v) < (scale - u) * 0.4) & (u > -scale)
        pic = inside * (0.55 + 0.45 * np.sin(u * rng.uniform(0.9, 1.4)))
    elif family == 3:
        rr = np.hypot(u / 1.25, v / 0.85)
        pic = (rr < scale) * (0.55 + 0.45 * np.cos(rr * rng.uniform(1.3, 1.9)))
    else:
        pic = np.zeros_like(xx)
        at, rad = -scale, 0.42 * scale
        while rad > 0.8:
            pic = np.maximum(pic, np.hypot(u - at, v) < rad)
            at, rad = at + rad * 1.15, rad * 0.8
        pic = pic * (0.7 + 0.3 * np.sin(v))
    for _ in range(rng.integers(2, 6)):  # pebbles
        px, py = rng.uniform(0, SIZE, size=2)
        pic = np.maximum(pic, 0.7 * (np.hypot(xx - px, yy - py) < rng.uniform(0.8, 2.0)))
    sand = rng.normal(0.0, 0.33, size=pic.shape)
    return (pic * rng.uniform(0.6, 1.1) + sand).astype(np.float32)


def cabinet(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(FAMILIES), size=n)
    pics = np.stack([draw_shell(k, rng) for k in labels])
    return torch.from_numpy(pics)[:, None], torch.from_numpy(labels)


x_train, y_train = cabinet(1800, seed=1)
x_test, y_test = cabinet(600, seed=2)
mu, sd = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sd, (x_test - mu) / sd

train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=60, shuffle=True)
test_dl = DataLoader(TensorDataset(x_test, y_test), batch_size=200)

# %% the net
net = nn.Sequential(
    nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 3 * 3, 48), nn.ReLU(),
    nn.Linear(48, len(FAMILIES)),
)

# %% optimiser and schedule
EPOCHS = 14
PEAK = 0.03
WARMUP = len(train_dl)
TOTAL = EPOCHS * len(train_dl)


def warm_cosine(step):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    done = (step - WARMUP) / (TOTAL - WARMUP)
    return PEAK * 0.5 * (1.0 + math.cos(math.pi * done))


opt = torch.optim.SGD(net.parameters(), lr=PEAK, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.LambdaLR(opt, warm_cosine)

# %% train
for epoch in range(EPOCHS):
    net.train()
    running, seen = 0.0, 0
    for xb, yb in train_dl:
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item() * len(yb)
        seen += len(yb)
    print(f"epoch {epoch + 1:2d}  train loss {running / seen:.3f}")

# %% judge
net.eval()
right = 0
with torch.no_grad():
    for xb, yb in test_dl:
        right += (net(xb).argmax(dim=1) == yb).sum().item()
print(f"test accuracy {right / len(y_test):.3f}")
