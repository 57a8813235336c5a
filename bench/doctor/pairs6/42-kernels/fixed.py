"""Sorting machine for grain: which kind of kernel drops past the camera (22x22 RGB crops)?

Settings in a dictionary, network from a list of stages, each with a noise gate.
"""
import time

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SETTINGS = {
    "kinds": ["wheat", "barley", "rice", "lentil", "sunflower", "maize"],
    "stages": [(16, 2), (24, 2), (32, None)],      # channels, pooling
    "strength": 0.7,
    "train": 1200, "val": 300, "test": 600,
    "batch": 40, "epochs": 8, "lr": 2e-3,
    "seed": 17,
}

#         length     slimness   colour               grooves  stripes
LOOKS = {
    "wheat":     ((6.0, 8.0), 0.48, (0.72, 0.52, 0.30), 1, 0),
    "barley":    ((6.5, 9.0), 0.42, (0.78, 0.64, 0.42), 0, 2),
    "rice":      ((5.5, 8.0), 0.34, (0.82, 0.76, 0.66), 0, 0),
    "lentil":    ((4.5, 6.0), 0.92, (0.55, 0.46, 0.28), 0, 0),
    "sunflower": ((7.0, 9.0), 0.50, (0.34, 0.31, 0.30), 0, 2),
    "maize":     ((5.5, 7.0), 0.82, (0.86, 0.62, 0.14), 0, 0),
}


def crop(rng, kind, n=22):
    (lo, hi), slim, colour, grooves, stripes = LOOKS[kind]
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    x, y = x - rng.uniform(-2, 2), y - rng.uniform(-2, 2)
    a, half = rng.uniform(0, np.pi), rng.uniform(lo, hi)
    wide = half * slim * rng.uniform(0.85, 1.15)
    u, v = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
    d = np.hypot(u / half, v / wide)
    mask = 1 / (1 + np.exp(8 * (d - 1)))
    shade = 1 - 0.35 * d ** 2
    if grooves:
        shade = shade - 0.4 * np.exp(-(v / 0.7) ** 2) * (u > -0.7 * half)
    if stripes:
        shade = shade + 0.15 * stripes * np.cos(2 * np.pi * v / max(wide, 3) * 1.5)
    belt = rng.uniform(0.15, 0.55)
    tint = np.array(colour) + rng.normal(0, 0.03, 3)
    img = belt * (1 - mask) + mask * shade * tint[:, None, None]
    return img * rng.uniform(0.75, 1.15) + rng.normal(0, 0.06, (3, n, n))


def camera(count, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(count) % len(SETTINGS["kinds"]))
    x = np.stack([crop(rng, SETTINGS["kinds"][k]) for k in y])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class NoiseGate(nn.Module):
    """Subtracts `strength` times the usual response per channel, so that only clear ones pass the ReLU behind."""

    def __init__(self, channels, strength, momentum=0.95):
        super().__init__()
        self.strength, self.momentum = strength, momentum
        self.register_buffer("usual", torch.zeros(channels))

    def forward(self, x):
        if self.training:
            level = F.relu(x.detach()).mean(dim=(0, 2, 3))
            self.usual.mul_(self.momentum).add_(level, alpha=1 - self.momentum)
        return x - self.strength * self.usual[:, None, None]


def build(settings):
    layers, c = [], 3
    for width, pool in settings["stages"]:
        layers += [nn.Conv2d(c, width, 3, padding=1), NoiseGate(width, settings["strength"]), nn.ReLU()]
        layers += [nn.MaxPool2d(pool)] if pool else [nn.AdaptiveAvgPool2d(3)]
        c = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 9, len(settings["kinds"])))


def run_epoch(net, loader, optimizer=None):
    learning = optimizer is not None
    net.train(learning)
    loss_sum, hits = 0.0, 0
    with torch.set_grad_enabled(learning):
        for x, y in loader:
            out = net(x)
            loss = F.cross_entropy(out, y)
            if learning:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
    return loss_sum / len(loader.dataset), hits / len(loader.dataset)


def main(s=SETTINGS):
    torch.manual_seed(s["seed"])
    sets = {part: camera(s[part], seed) for seed, part in enumerate(("train", "val", "test"))}
    x = sets["train"][0]
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    loaders = {part: DataLoader(TensorDataset((x - mean) / std, y), batch_size=s["batch"], shuffle=part == "train")
               for part, (x, y) in sets.items()}

    net = build(s)
    optimizer = torch.optim.Adam(net.parameters(), lr=s["lr"])
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=s["epochs"] - 1)
    for epoch in range(1, s["epochs"] + 1):
        began = time.time()
        loss, acc = run_epoch(net, loaders["train"], optimizer)
        val_loss, val_acc = run_epoch(net, loaders["val"])
        schedule.step()
        print(f"{epoch:2d} | train {loss:.3f} {acc:.3f} | val {val_loss:.3f} {val_acc:.3f} "
              f"| {time.time() - began:.1f} s")
    print("test accuracy %.4f" % run_epoch(net, loaders["test"])[1])


if __name__ == "__main__":
    main()
