# Road surface recognition, cross-validated. Pictures are synthetic patches of 24x24 pixels.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SURFACES = {"asphalt": 421, "cobbles": 380, "gravel": 412, "dirt": 388}
PX = 24
FOLDS = 4
EPOCHS = 6
BATCH = 50


def smooth(field, times):
    for _ in range(times):
        field = (field + np.roll(field, 1, 0) + np.roll(field, -1, 0) + np.roll(field, 1, 1) + np.roll(field, -1, 1)) / 5
    return (field - field.mean()) / (field.std() + 1e-6)


def patch(surface, rng):
    y, x = np.mgrid[0:PX, 0:PX]
    if surface == "asphalt":
        relief = rng.normal(size=(PX, PX)) * 0.6
    elif surface == "gravel":
        relief = smooth(rng.normal(size=(PX, PX)), 2)
    elif surface == "cobbles":
        step = rng.uniform(5, 7)
        row = np.floor((y + rng.uniform(0, 7)) / step)
        u = (x + rng.uniform(0, 7) + 0.5 * step * (row % 2)) % step / step
        v = (y + rng.uniform(0, 7)) % step / step
        relief = 1.2 * (np.sin(np.pi * u) * np.sin(np.pi * v) - 0.4) * 2 + rng.normal(size=(PX, PX)) * 0.5
    else:
        tilt = rng.uniform(-0.4, 0.4)
        relief = np.sin((x + tilt * y) / rng.uniform(2.2, 3.2) + rng.uniform(0, 6)) * 0.7 + smooth(rng.normal(size=(PX, PX)), 4) * 0.5
    grey = rng.uniform(0.35, 0.6) + rng.uniform(0.07, 0.13) * relief
    if rng.random() < 0.4:                                     # shadow across the road
        grey = np.where(x + y * rng.uniform(-1, 1) > rng.uniform(4, 20), grey * rng.uniform(0.5, 0.8), grey)
    if rng.random() < 0.3:                                     # painted line
        c = rng.integers(2, PX - 4)
        grey[:, c:c + 2] = 0.9
    tint = rng.uniform(0.85, 1.1, size=(3, 1, 1))
    return (grey[None] * tint + rng.normal(0, 0.05, (3, PX, PX))).astype(np.float32)


def load(seed):
    rng = np.random.default_rng(seed)
    pics, labels = [], []
    for k, (name, count) in enumerate(SURFACES.items()):
        pics += [patch(name, rng) for _ in range(count)]
        labels += [k] * count
    return torch.from_numpy(np.stack(pics)), torch.tensor(labels)


def build():
    layers, width = [], 3
    for out in (16, 32, 48):
        layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        width = out
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, len(SURFACES)),
    )


def fit(net, data):
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True)
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS * len(loader))
    net.train()
    for _ in range(EPOCHS):
        for x, y in loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            sched.step()
    return loss.item()


@torch.no_grad()
def score(net, data):
    net.eval()
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(data, batch_size=200))
    return right / len(data)


def cross_validate(images, labels):
    order = np.random.default_rng(5).permutation(len(labels))
    parts = np.array_split(order, FOLDS)
    results = []
    for f in range(FOLDS):
        held = torch.from_numpy(parts[f])
        rest = torch.from_numpy(np.concatenate([p for i, p in enumerate(parts) if i != f]))
        mu, sd = images[rest].mean(), images[rest].std()
        torch.manual_seed(100 + f)
        net = build()
        last = fit(net, TensorDataset((images[rest] - mu) / sd, labels[rest]))
        acc = score(net, TensorDataset((images[held] - mu) / sd, labels[held]))
        print(f"fold {f}: trained on {len(rest)}, last loss {last:.3f}, accuracy {acc:.3f}")
        results.append(acc)
    return results


accs = cross_validate(*load(seed=3))
print(f"cross-validated accuracy {np.mean(accs):.3f} +- {np.std(accs):.3f}")
