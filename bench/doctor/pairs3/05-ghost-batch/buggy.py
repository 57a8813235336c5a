"""Residual net with ghost batch normalisation, trainer with callbacks."""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn, Tensor
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass(frozen=True)
class Hyper:
    classes: int = 6
    size: int = 20
    train_size: int = 640
    test_size: int = 240
    batch_size: int = 64
    ghost_size: int = 21
    width: int = 16
    epochs: int = 6
    lr: float = 0.1
    seed: int = 8


def make_data(h: Hyper, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Gaussian blobs laid on a circle; the class is the number of blobs minus one."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % h.classes)
    yy, xx = np.mgrid[: h.size, : h.size]
    out = np.empty((n, 1, h.size, h.size), np.float32)
    for i, c in enumerate(labels):
        img = rng.normal(0, 0.15, (h.size, h.size))
        turn = rng.uniform(0, 2 * math.pi)
        for k in range(c + 1):
            a = turn + 2 * math.pi * k / (c + 1)
            cx, cy = h.size / 2 + 6.5 * math.cos(a), h.size / 2 + 6.5 * math.sin(a)
            img += np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / 4.0)
        out[i, 0] = img * rng.uniform(0.5, 1.5) + rng.uniform(-0.5, 0.5)
    return torch.from_numpy(out), torch.from_numpy(labels)


class GhostNorm(nn.Module):
    """Normalises each virtual batch by its own statistics (Hoffer et al., 2017)."""

    def __init__(self, channels: int, ghost_size: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, momentum=0.1)
        self.ghost_size = ghost_size

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.bn(x)
        return torch.cat([self.bn(part) for part in x.split(self.ghost_size)])


class Block(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int, ghost: int):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm1 = GhostNorm(cout, ghost)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.norm2 = GhostNorm(cout, ghost)
        self.short = nn.Conv2d(cin, cout, 1, stride, bias=False)
        self.norm3 = GhostNorm(cout, ghost)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.norm3(self.short(x)))


class BlobNet(nn.Module):
    def __init__(self, h: Hyper):
        super().__init__()
        w, g = h.width, h.ghost_size
        self.body = nn.Sequential(Block(1, w, 2, g), Block(w, 2 * w, 2, g))
        self.fc = nn.Linear(2 * w, h.classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3)))


class Callback:
    def on_epoch_end(self, trainer: "Trainer", logs: dict) -> None: ...


class Printer(Callback):
    def on_epoch_end(self, trainer, logs):
        print(" ".join(f"{k}={v:.4f}" for k, v in logs.items()))


class Trainer:
    def __init__(self, net: nn.Module, h: Hyper, steps: int, callbacks: list[Callback]):
        self.net, self.callbacks = net, callbacks
        self.opt = torch.optim.SGD(net.parameters(), lr=h.lr, momentum=0.9, nesterov=True)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, h.lr, total_steps=steps)

    def fit(self, loader: DataLoader, epochs: int) -> None:
        for epoch in range(epochs):
            self.net.train()
            total = 0.0
            for x, y in loader:
                self.opt.zero_grad()
                loss = F.cross_entropy(self.net(x), y)
                loss.backward()
                self.opt.step()
                self.sched.step()
                total += loss.item()
            for cb in self.callbacks:
                cb.on_epoch_end(self, {"epoch": epoch, "loss": total / len(loader)})

    @torch.no_grad()
    def test(self, loader: DataLoader) -> float:
        self.net.eval()
        pairs = [(self.net(x).argmax(1), y) for x, y in loader]
        return torch.cat([p == y for p, y in pairs]).float().mean().item()


if __name__ == "__main__":
    hp = Hyper()
    torch.manual_seed(hp.seed)
    (xa, ya), (xb, yb) = make_data(hp, hp.train_size, hp.seed), make_data(hp, hp.test_size, hp.seed + 1)
    mu, sd = xa.mean(), xa.std()
    train_loader = DataLoader(TensorDataset((xa - mu) / sd, ya), hp.batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(TensorDataset((xb - mu) / sd, yb), 80)
    trainer = Trainer(BlobNet(hp), hp, hp.epochs * len(train_loader), [Printer()])
    trainer.fit(train_loader, hp.epochs)
    print(f"accuracy: {trainer.test(test_loader):.3f}")
