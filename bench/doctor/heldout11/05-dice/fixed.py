"""Reads the number of pips on a die. Three-fold cross-validation, functional style."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "images": 1500,
    "side": 20,
    "folds": 3,
    "epochs": 8,
    "batch": 50,
    "lr": 3e-3,
    "channels": [12, 24, 32],
    "hidden": 48,
    "keep_prob": 0.9,
    "seed": 5,
}

PIPS = {
    1: [(0, 0)],
    2: [(-1, -1), (1, 1)],
    3: [(-1, -1), (0, 0), (1, 1)],
    4: [(-1, -1), (-1, 1), (1, -1), (1, 1)],
    5: [(-1, -1), (-1, 1), (0, 0), (1, -1), (1, 1)],
    6: [(-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 0), (1, 1)],
}


def photograph(value, side, rng):
    ys, xs = np.mgrid[0:side, 0:side].astype(float)
    table = 0.3 + 0.15 * rng.random() + rng.normal(0, 0.01) * xs + rng.normal(0, 0.01) * ys
    a = rng.uniform(-0.5, 0.5)
    cx, cy = side / 2 - 0.5 + rng.uniform(-1.5, 1.5, 2)
    half = rng.uniform(0.34, 0.42) * side
    u = ((xs - cx) * np.cos(a) + (ys - cy) * np.sin(a)) / half
    v = (-(xs - cx) * np.sin(a) + (ys - cy) * np.cos(a)) / half
    face = np.maximum(np.abs(u), np.abs(v)) < 1
    img = np.where(face, rng.uniform(0.7, 0.95), table)
    ink = rng.uniform(0.05, 0.25)
    if rng.random() < 0.5:
        u, v = v, u
    for pu, pv in PIPS[value]:
        dot = (u - 0.52 * pu) ** 2 + (v - 0.52 * pv) ** 2
        img = img + (ink - img) * np.clip(1.5 - dot / 0.03, 0, 1)
    return np.clip(img + rng.normal(0, 0.06, img.shape), 0, 1)


def collect(cfg):
    rng = np.random.default_rng(cfg["seed"])
    y = rng.integers(0, 6, cfg["images"])
    x = np.stack([photograph(int(k) + 1, cfg["side"], rng) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def conv_unit(c_in, c_out, drop):
    return [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(p=drop)]


def dense_unit(n_in, n_out, drop):
    return [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(p=drop)]


def make_network(cfg):
    parts, c, s = [], 1, cfg["side"]
    drop = 1 - cfg["keep_prob"]
    for width in cfg["channels"]:
        parts += conv_unit(c, width, drop)
        c, s = width, s // 2
    parts += [nn.Flatten()]
    parts += dense_unit(c * s * s, cfg["hidden"], drop)
    parts += [nn.Linear(cfg["hidden"], 6)]
    return nn.Sequential(*parts)


def batches(x, y, size, gen=None):
    order = torch.arange(len(x)) if gen is None else torch.randperm(len(x), generator=gen)
    for start in range(0, len(x), size):
        pick = order[start:start + size]
        yield x[pick], y[pick]


def train_one_epoch(net, opt, stream):
    net.train()
    losses = []
    for xb, yb in stream:
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def accuracy(net, stream):
    net.eval()
    good = total = 0
    with torch.no_grad():
        for xb, yb in stream:
            good += (net(xb).argmax(dim=1) == yb).sum().item()
            total += len(yb)
    return good / total


def run_fold(cfg, x, y, held_out, fold):
    torch.manual_seed(cfg["seed"] + fold)
    gen = torch.Generator().manual_seed(cfg["seed"] + fold)
    rest = ~held_out
    mu, sigma = x[rest].mean(), x[rest].std()
    x = (x - mu) / sigma
    net = make_network(cfg)
    opt = torch.optim.Adam(net.parameters(), lr=cfg["lr"])
    for epoch in range(cfg["epochs"]):
        loss = train_one_epoch(net, opt, batches(x[rest], y[rest], cfg["batch"], gen))
        print(f"  fold {fold} epoch {epoch + 1} loss {loss:.4f}")
    return accuracy(net, batches(x[held_out], y[held_out], 250))


def main(cfg):
    x, y = collect(cfg)
    fold_of = torch.from_numpy(np.random.default_rng(cfg["seed"] + 100).permutation(len(x)) % cfg["folds"])
    results = []
    for k in range(cfg["folds"]):
        results.append(run_fold(cfg, x, y, fold_of == k, k))
        print(f"fold {k}: accuracy {results[-1]:.4f}")
    print(f"cross-validated accuracy {sum(results) / len(results):.4f}")


main(CONFIG)
