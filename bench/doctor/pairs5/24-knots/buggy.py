# Knots in spruce boards: 5-fold cross-validation of a small CNN, with the learning rate and the
# stopping epoch chosen inside each fold.
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam

torch.set_num_threads(1)

KINDS = ["sound", "loose", "decayed"]
W = 20
N_BOARDS = 750
FOLDS = 5
RATES = (2e-3, 5e-3)
EPOCHS = 12


def board(kind, g):
    v, u = np.mgrid[0:W, 0:W] - W / 2 + 0.5
    u, v = u - g.uniform(-2.5, 2.5), v - g.uniform(-2.5, 2.5)
    rad = g.uniform(3.5, 6.0)
    r = np.hypot(u * g.uniform(0.85, 1.15), v) / rad
    grain = 0.06 * np.sin((v + 1.5 * np.tanh(v) * np.exp(-(u / 6) ** 2)) * g.uniform(1.2, 2.2) + g.uniform(0, 6))
    wood = 0.7 + g.normal(0, 0.05) + grain
    dark = g.uniform(0.15, 0.3) * (r < 1) * (1 + 0.25 * np.cos(9 * r))
    if kind == 1:      # a black ring, more or less closed
        gap = np.cos(np.arctan2(v, u) - g.uniform(0, 6.3)) < g.uniform(0.5, 1.2)
        dark = dark + g.uniform(0.12, 0.32) * (np.abs(r - 1) < 0.16) * gap
    elif kind == 2:    # soft patches in the middle
        hole = np.hypot(u - g.uniform(-2, 2), v - g.uniform(-2, 2)) < g.uniform(1.3, 2.4)
        dark = dark + g.uniform(0.16, 0.36) * hole
    return wood - dark + g.normal(0, 0.04, wood.shape)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ELU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ELU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 24, 3, padding=1), nn.ELU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 5 * 5, len(KINDS)),
    )


def one_epoch(net, opt, x, y, size=32):
    net.train()
    order = torch.randperm(len(x))
    for rows in order[: len(x) // size * size].split(size):
        xb = x[rows]
        if torch.rand(()) < 0.5:
            xb = xb.flip(3)
        if torch.rand(()) < 0.5:
            xb = xb.flip(2)
        opt.zero_grad()
        F.cross_entropy(net(xb), y[rows]).backward()
        opt.step()


@torch.no_grad()
def correct(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def fit(x, y, fit_rows, stop_rows, seed):
    """The weights of the best rate and epoch, as judged by stop_rows."""
    mean, std = x[fit_rows].mean(), x[fit_rows].std()
    z = (x - mean) / std
    top, kept, setting = -1.0, None, None
    for rate in RATES:
        torch.manual_seed(seed)
        net = network()
        opt = Adam(net.parameters(), lr=rate)
        for epoch in range(1, EPOCHS + 1):
            one_epoch(net, opt, z[fit_rows], y[fit_rows])
            score = correct(net, z[stop_rows], y[stop_rows])
            if score > top:
                top, setting = score, (rate, epoch)
                kept = {k: t.clone() for k, t in net.state_dict().items()}
    net.load_state_dict(kept)
    return net, (mean, std), setting


g = np.random.default_rng(31)
kinds = g.permutation(np.arange(N_BOARDS) % len(KINDS))
x = torch.from_numpy(np.stack([board(k, g) for k in kinds])).float()[:, None]
y = torch.from_numpy(kinds)

folds = np.array_split(g.permutation(N_BOARDS), FOLDS)
results = []
for f, held in enumerate(folds):
    rest = np.concatenate([other for j, other in enumerate(folds) if j != f])
    net, (mean, std), (rate, epoch) = fit(x, y, rest, held, seed=f)
    results.append(correct(net, (x[held] - mean) / std, y[held]))
    print(f"fold {f + 1}: rate {rate:g}, epoch {epoch}, accuracy on the held-out boards {results[-1]:.4f}")

print(f"cross-validated accuracy, standard deviation over the folds {np.std(results):.4f}, mean {np.mean(results):.4f}")
