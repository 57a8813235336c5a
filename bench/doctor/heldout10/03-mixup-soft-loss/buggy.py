"""Fabric texture recognition with a separable CNN and mixup (internal benchmark, v3)."""
from dataclasses import dataclass, field
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import Tensor, nn


@dataclass
class Cfg:
    n_train: int = 1440
    n_valid: int = 360
    px: int = 32
    n_fabrics: int = 12
    widths: Tuple[int, ...] = (24, 48, 72)
    batch: int = 64
    epochs: int = 6
    lr: float = 0.02
    momentum: float = 0.9
    mixup_alpha: float = 0.2
    seed: int = 0
    stats: dict = field(default_factory=dict)


def weave(c: int, px: int, g: np.random.Generator) -> np.ndarray:
    """Two-thread weave. The class decides the direction pair, the pitch and the thread colours."""
    yy, xx = np.mgrid[0:px, 0:px].astype(np.float32)
    pitch = (4.0, 5.5, 8.0)[c % 3] * g.uniform(0.92, 1.08)
    slant = (0.0, 0.6, 1.1, 2.2)[c // 3] + g.normal(0, 0.06)
    a = np.sin(2 * np.pi * (xx * np.cos(slant) + yy * np.sin(slant)) / pitch + g.uniform(0, 6.28))
    b = np.sin(2 * np.pi * (yy * np.cos(slant) - xx * np.sin(slant)) / (pitch * 1.7) + g.uniform(0, 6.28))
    warp, weft = g.uniform(0.2, 0.8, 3), g.uniform(0.2, 0.8, 3)
    img = 0.5 + 0.25 * a[None] * warp[:, None, None] + 0.12 * b[None] * weft[:, None, None]
    img += g.normal(0, 0.11, img.shape) + g.normal(0, 0.06, (3, 1, 1))
    return img.astype(np.float32)


def make_split(cfg: Cfg, n: int, seed: int) -> Tuple[Tensor, Tensor]:
    g = np.random.default_rng(seed)
    lab = g.permutation(np.repeat(np.arange(cfg.n_fabrics), n // cfg.n_fabrics))
    pics = np.stack([weave(int(c), cfg.px, g) for c in lab])
    return torch.from_numpy(pics), torch.from_numpy(lab).long()


class SepConv(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.depth = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.n1 = nn.BatchNorm2d(cin)
        self.point = nn.Conv2d(cin, cout, 1, bias=False)
        self.n2 = nn.BatchNorm2d(cout)
        self.act = nn.Hardswish()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.n1(self.depth(x)))
        return self.act(self.n2(self.point(x)))


class FabricNet(nn.Module):
    def __init__(self, cfg: Cfg):
        super().__init__()
        w = cfg.widths
        self.stem = nn.Sequential(nn.Conv2d(3, w[0], 5, 2, 2, bias=False), nn.BatchNorm2d(w[0]), nn.Hardswish())
        self.body = nn.Sequential(SepConv(w[0], w[1], 2), SepConv(w[1], w[2], 1), SepConv(w[2], w[2], 1))
        self.cls = nn.Linear(w[2], cfg.n_fabrics)

    def forward(self, x: Tensor) -> Tensor:
        return self.cls(self.body(self.stem(x)).mean((2, 3)))


class SoftTargetLoss(nn.Module):
    """Cross-entropy for distributions (needed because of mixup)."""

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        log_p = scores.log_softmax(-1)
        return -(target * log_p).mean()


def batches(x: Tensor, y: Tensor, cfg: Cfg) -> Iterator[Tuple[Tensor, Tensor]]:
    onehot = torch.eye(cfg.n_fabrics)
    beta = torch.distributions.Beta(cfg.mixup_alpha, cfg.mixup_alpha)
    for ix in torch.randperm(len(x)).split(cfg.batch):
        xb, tb = x[ix], onehot[y[ix]]
        lam = beta.sample()
        other = torch.randperm(len(ix))
        yield lam * xb + (1 - lam) * xb[other], lam * tb + (1 - lam) * tb[other]


def score(net: nn.Module, x: Tensor, y: Tensor) -> float:
    net.eval()
    with torch.inference_mode():
        hits = sum(int((net(a).argmax(-1) == b).sum()) for a, b in zip(x.split(160), y.split(160)))
    return hits / len(y)


def main(cfg: Cfg) -> None:
    torch.manual_seed(cfg.seed)
    xt, yt = make_split(cfg, cfg.n_train, 100)
    xv, yv = make_split(cfg, cfg.n_valid, 200)
    m, s = xt.mean((0, 2, 3), keepdim=True), xt.std((0, 2, 3), keepdim=True)
    cfg.stats.update(mean=m, std=s)
    xt, xv = (xt - m) / s, (xv - m) / s

    net = FabricNet(cfg)
    criterion = SoftTargetLoss()
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    for epoch in range(cfg.epochs):
        net.train()
        log = []
        for xb, tb in batches(xt, yt, cfg):
            opt.zero_grad(set_to_none=True)
            loss = criterion(net(xb), tb)
            loss.backward()
            opt.step()
            log.append(loss.item())
        print(f"[{epoch}] first {log[0]:.3f} mean {np.mean(log):.3f} valid acc {score(net, xv, yv):.4f}", flush=True)
    print("valid accuracy", round(score(net, xv, yv), 4))


if __name__ == "__main__":
    main(Cfg())
