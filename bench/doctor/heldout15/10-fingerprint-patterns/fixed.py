"""Henry classes of fingerprints, estimated by 3-fold cross-validation.

    arch, left loop, right loop, whorl, double loop
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Subset, TensorDataset

CLASSES = ["arch", "left loop", "right loop", "whorl", "double loop"]
S = 28


def orientation(kind, u, v, rng):
    """Ridge angle from cores (+1/2) and deltas (-1/2), after Sherlock and Monro."""
    j = lambda s=.09: rng.normal(0, s)
    if kind == 0:
        bend = rng.uniform(.6, .95)
        return -bend * np.exp(-((v - .1) / .55) ** 2) * np.sin(np.pi * np.clip(u, -1, 1))
    if kind in (1, 2):
        side = -1 if kind == 1 else 1
        cores, deltas = [(j(), -.15 + j())], [(-side * .6 + j(), .65 + j())]
    elif kind == 3:
        cores, deltas = [(j(), -.22 + j()), (j(), .18 + j())], [(-.75 + j(), .75 + j()), (.75 + j(), .75 + j())]
    else:
        d = rng.choice([-1, 1]) * .32
        cores, deltas = [(d + j(), -.1 + j()), (-d + j(), .2 + j())], [(-.8 + j(), .8 + j()), (.8 + j(), .8 + j())]
    angle = np.zeros_like(u)
    for cx, cy in cores:
        angle += .5 * np.arctan2(v - cy, u - cx)
    for dx, dy in deltas:
        angle -= .5 * np.arctan2(v - dy, u - dx)
    return angle + (np.pi / 2 if len(cores) == 1 else 0)


def ridges(kind, rng):
    v, u = np.mgrid[0:S, 0:S] / (S / 2) - 1
    u, v = u + rng.uniform(-.12, .12), v + rng.uniform(-.12, .12)
    theta = orientation(kind, u, v, rng) + rng.normal(0, .06)
    # line integral convolution of noise along the ridge direction, then contrast
    noise = gaussian_filter(rng.normal(0, 1, (S, S)), .8)
    yy, xx = np.mgrid[0:S, 0:S].astype(float)
    out = np.zeros((S, S))
    for way in (1, -1):
        px, py = xx.copy(), yy.copy()
        dx, dy = way * np.cos(theta), way * np.sin(theta)
        for _ in range(6):
            ix, iy = np.clip(px.round(), 0, S - 1).astype(int), np.clip(py.round(), 0, S - 1).astype(int)
            out += noise[iy, ix]
            sx, sy = np.cos(theta[iy, ix]), np.sin(theta[iy, ix])
            flip = np.where(sx * dx + sy * dy < 0, -1, 1)
            dx, dy = flip * sx, flip * sy
            px, py = px + dx, py + dy
    img = np.tanh(out / out.std()) * rng.uniform(.5, 1)
    finger = np.exp(-((u / .95) ** 4 + (v / 1.1) ** 4))
    return img * finger + rng.normal(0, .25, (S, S))


def collect(n, rng):
    y = rng.integers(0, len(CLASSES), n)
    return np.stack([ridges(k, rng) for k in y]).astype(np.float32)[:, None], y


def make_net():
    def conv(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))

    return nn.Sequential(
        conv(1, 16), conv(16, 32), conv(32, 32), nn.Flatten(),
        nn.Linear(32 * 3 * 3, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Linear(48, len(CLASSES)),
    )


def fit_fold(x, y, train_idx, held_out_idx, epochs=5):
    mean, std = x[train_idx].mean(), x[train_idx].std()
    data = TensorDataset(torch.from_numpy((x - mean) / std), torch.from_numpy(y))
    loader = DataLoader(Subset(data, train_idx.tolist()), batch_size=32, shuffle=True, drop_last=True)
    net = make_net()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for _ in range(epochs):
        net.train()
        for xb, yb in loader:
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        sched.step()
    net.eval()
    hits = 0
    with torch.no_grad():
        for xb, yb in DataLoader(Subset(data, held_out_idx.tolist()), batch_size=128):
            hits += (net(xb).argmax(1) == yb).sum().item()
    return hits / len(held_out_idx)


def main(n_images=1441, n_folds=3, seed=9):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x, y = collect(n_images, rng)
    folds = np.array_split(rng.permutation(n_images), n_folds)
    scores = []
    for k, held_out in enumerate(folds):
        train = np.concatenate([f for j, f in enumerate(folds) if j != k])
        scores.append(fit_fold(x, y, train, held_out))
        print(f"fold {k + 1}: {len(train)} train, {len(held_out)} held out, accuracy {scores[-1]:.3f}", flush=True)
    print(f"{n_folds}-fold cross-validated accuracy {np.mean(scores):.4f}")


if __name__ == "__main__":
    main()
