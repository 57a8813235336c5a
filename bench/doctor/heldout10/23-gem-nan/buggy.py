"""Vehicles and animals from CIFAR-10 with GeM pooling instead of average pooling (the retrieval people swear by it)."""
import os
from dataclasses import dataclass
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import Tensor, nn

KEEP = {1: "automobile", 4: "deer", 6: "frog", 8: "ship"}


@dataclass(frozen=True)
class HParams:
    per_class: int = 400
    per_class_eval: int = 125
    epochs: int = 8
    bs: int = 64
    lr: float = 3e-3
    wd: float = 1e-2
    width: int = 20
    gem_p: float = 3.0
    seed: int = 1


def records(file: str, quota: int) -> Tuple[np.ndarray, np.ndarray]:
    raw = np.fromfile(os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin", file), np.uint8).reshape(-1, 3073)
    rows = np.concatenate([np.flatnonzero(raw[:, 0] == c)[:quota] for c in KEEP])
    target = np.searchsorted(sorted(KEEP), raw[rows, 0])
    return raw[rows, 1:].reshape(-1, 3, 32, 32), target


def stream(x: Tensor, y: Tensor, bs: int, train: bool) -> Iterator[Tuple[Tensor, Tensor]]:
    order = torch.randperm(len(x)) if train else torch.arange(len(x))
    for idx in order.split(bs):
        bx = x[idx]
        if train:
            mirror = torch.rand(len(idx), 1, 1, 1) < 0.5
            bx = torch.where(mirror, bx.flip(-1), bx)
            dy, dx = (int(v) for v in torch.randint(-2, 3, (2,)))
            bx = torch.roll(nn.functional.pad(bx, (2, 2, 2, 2)), (dy, dx), (2, 3))[..., 2:-2, 2:-2]
        yield bx, y[idx]


class GeM(nn.Module):
    """Generalised mean over the positions, (mean x^p)^(1/p), with p learnt."""

    def __init__(self, p: float = 3.0, eps: float = 0.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.eps).pow(self.p).mean((-2, -1)).pow(1.0 / self.p)


class Backbone(nn.Module):
    def __init__(self, w: int):
        super().__init__()

        def unit(i, o, s):
            return [nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

        self.layers = nn.Sequential(*unit(3, w, 2), *unit(w, w, 1), *unit(w, 2 * w, 2), *unit(2 * w, 3 * w, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Classifier(nn.Module):
    def __init__(self, hp: HParams):
        super().__init__()
        self.backbone = Backbone(hp.width)
        self.pool = GeM(hp.gem_p)
        self.neck = nn.LayerNorm(3 * hp.width)
        self.fc = nn.Linear(3 * hp.width, len(KEEP))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.neck(self.pool(self.backbone(x))))


def groups(net: nn.Module, wd: float):
    decay = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": wd}, {"params": rest, "weight_decay": 0.0}]


def main(hp: HParams = HParams()) -> float:
    torch.manual_seed(hp.seed)
    xt, yt = records("data_batch_1.bin", hp.per_class)
    xv, yv = records("test_batch.bin", hp.per_class_eval)
    mean, std = xt.mean((0, 2, 3)), xt.std((0, 2, 3))

    def prep(a: np.ndarray) -> Tensor:
        return torch.from_numpy(((a - mean[:, None, None]) / std[:, None, None]).astype(np.float32))

    xt, xv, yt, yv = prep(xt), prep(xv), torch.from_numpy(yt), torch.from_numpy(yv)
    net = Classifier(hp)
    optim = torch.optim.AdamW(groups(net, hp.wd), lr=hp.lr)
    steps = hp.epochs * -(-len(xt) // hp.bs)
    sched = torch.optim.lr_scheduler.LambdaLR(optim, lambda s: min(1.0, (s + 1) / 20) * (1 - s / steps))
    for epoch in range(hp.epochs):
        net.train()
        seen = []
        for bx, by in stream(xt, yt, hp.bs, train=True):
            loss = nn.functional.cross_entropy(net(bx), by)
            optim.zero_grad()
            loss.backward()
            optim.step()
            sched.step()
            seen.append(loss.item())
        print(f"epoch {epoch + 1}/{hp.epochs}: loss {np.mean(seen):.4f}, p {net.pool.p.item():.3f}")
    net.eval()
    with torch.no_grad():
        correct = sum(int((net(bx).argmax(1) == by).sum()) for bx, by in stream(xv, yv, 250, train=False))
    return correct / len(xv)


if __name__ == "__main__":
    print(f"test accuracy {main():.4f}")
