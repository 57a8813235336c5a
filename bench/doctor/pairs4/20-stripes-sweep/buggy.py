"""Orientation of noisy gratings (6 angles): small sweep over the rate, then the final model."""
import copy
import math
from dataclasses import dataclass, field

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

ANGLES = 6


@dataclass
class Sweep:
    rates: tuple = (0.003, 0.01, 0.03)
    epochs: int = 4
    patience: int = 2
    batch_size: int = 50
    sizes: dict = field(default_factory=lambda: {"train": 900, "val": 300, "test": 300})
    seed: int = 20


def gratings(n, gen, size=20):
    y = torch.randperm(n, generator=gen) % ANGLES
    grid = torch.arange(size).float()
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    theta = (y + 0.9 * (torch.rand(n, generator=gen) - 0.5)) * math.pi / ANGLES
    freq = 0.7 + 0.5 * torch.rand(n, generator=gen)
    phase = 2 * math.pi * torch.rand(n, generator=gen)
    along = torch.cos(theta)[:, None, None] * xx + torch.sin(theta)[:, None, None] * yy
    x = torch.sin(freq[:, None, None] * along + phase[:, None, None])
    return (x + 1.4 * torch.randn(x.shape, generator=gen))[:, None], y


def make_loaders(cfg):
    gen = torch.Generator().manual_seed(cfg.seed)
    parts = {name: gratings(n, gen) for name, n in cfg.sizes.items()}
    mean, std = parts["train"][0].mean(), parts["train"][0].std()
    return {
        name: DataLoader(TensorDataset((x - mean) / std, y), cfg.batch_size, shuffle=name == "train")
        for name, (x, y) in parts.items()
    }


def make_net():
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 25, ANGLES),
    )


def run_epoch(net, loader, optimizer):
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


@torch.no_grad()
def score(net, loader):
    net.eval()
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader.dataset)


class Keeper:
    """Remembers the best network and says when to stop."""

    def __init__(self, loaders, patience, split="test"):
        self.loader, self.patience = loaders[split], patience
        self.best, self.state, self.waited = -1.0, None, 0

    def done(self, net):
        value = score(net, self.loader)
        if value > self.best:
            self.best, self.state, self.waited = value, copy.deepcopy(net.state_dict()), 0
        else:
            self.waited += 1
        return self.waited >= self.patience


def fit(cfg, loaders, rate, seed):
    torch.manual_seed(seed)
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    keeper = Keeper(loaders, cfg.patience)
    for _ in range(cfg.epochs):
        run_epoch(net, loaders["train"], optimizer)
        if keeper.done(net):
            break
    net.load_state_dict(keeper.state)
    return net, keeper.best


def main():
    cfg = Sweep()
    loaders = make_loaders(cfg)
    results = {}
    for rate in cfg.rates:
        _, results[rate] = fit(cfg, loaders, rate, cfg.seed)
        print(f"rate {rate}: {results[rate]:.3f}")
    rate = max(results, key=results.get)
    finals = [score(fit(cfg, loaders, rate, cfg.seed + k)[0], loaders["test"]) for k in (1, 2, 3)]
    print("three seeds at rate", rate, [round(f, 3) for f in finals])
    print(f"accuracy: {sum(finals) / len(finals):.3f}")


if __name__ == "__main__":
    main()
