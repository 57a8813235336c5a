"""Cell state from two-channel fluorescence crops (DNA, tubulin). One-vs-rest sigmoids, fully convolutional."""
import math
import time

import torch
from torch import nn
from torch.nn import functional as F

CONFIG = {
    "states": ["interphase", "metaphase", "anaphase", "apoptotic"],
    "crop": 32,
    "train_per_state": 220,
    "test_per_state": 90,
    "filters": [16, 24, 32],
    "prior": 0.05,
    "opt": {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
    "batch_size": 40,
    "epochs": 15,
    "seed": 77,
}


def gaussians(n, crop, centres, widths, amps):
    """Sum of anisotropic spots -> (n, crop, crop); all arguments are (n, spots, ...)"""
    g = torch.arange(crop).float() - (crop - 1) / 2
    gx, gy = g.view(1, 1, 1, -1), g.view(1, 1, -1, 1)
    dx, dy = gx - centres[..., 0, None, None], gy - centres[..., 1, None, None]
    th = widths[..., 2, None, None]
    u, v = dx * th.cos() + dy * th.sin(), dy * th.cos() - dx * th.sin()
    spots = torch.exp(-0.5 * ((u / widths[..., 0, None, None]) ** 2 + (v / widths[..., 1, None, None]) ** 2))
    return (amps[..., None, None] * spots).sum(1)


def cells(state, n, crop, gen):
    def U(lo, hi, *shape):
        return torch.rand(*shape, generator=gen) * (hi - lo) + lo

    mid = U(-3, 3, n, 1, 2)
    ang = U(0, math.pi, n, 1)
    axis = torch.stack([ang.cos(), ang.sin()], -1)
    side = torch.stack([-ang.sin(), ang.cos()], -1)
    if state == "interphase":
        c, w, a = mid, torch.stack([U(3.5, 5, n, 1), U(3.5, 5, n, 1), ang], -1), U(.6, 1, n, 1)
        tub = U(6, 8, n, 1)
    elif state == "metaphase":
        c, w, a = mid, torch.stack([U(4, 5.5, n, 1), U(1.2, 1.8, n, 1), ang], -1), U(.7, 1.2, n, 1)
        tub = U(4, 6, n, 1)
    elif state == "anaphase":
        d = U(3, 5.5, n, 1)[..., None]
        c = torch.cat([mid + side * d, mid - side * d], 1)
        w = torch.stack([U(3.5, 4.5, n, 1), U(1.2, 1.8, n, 1), ang], -1).repeat(1, 2, 1)
        a = U(.7, 1.2, n, 1).repeat(1, 2)
        tub = U(4, 6, n, 1)
    else:
        c = mid + U(-6, 6, n, 5, 2)
        s = U(1.0, 2.0, n, 5)
        w, a = torch.stack([s, s, torch.zeros(n, 5)], -1), U(.5, 1.2, n, 5)
        tub = U(3, 5, n, 1)
    dna = gaussians(n, crop, c, w, a)
    tubulin = gaussians(n, crop, mid, torch.stack([tub, tub * 0.8, ang], -1), U(.4, .8, n, 1))
    x = torch.stack([dna, tubulin], 1)
    return x + 0.13 * torch.randn(x.shape, generator=gen) + U(0, .15, n, 1, 1, 1)


def dataset(cfg, per_state, seed):
    gen = torch.Generator().manual_seed(seed)
    x = torch.cat([cells(s, per_state, cfg["crop"], gen) for s in cfg["states"]])
    y = torch.arange(len(cfg["states"])).repeat_interleave(per_state)
    return x, y


class CellFCN(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        chans = [2] + cfg["filters"]
        self.trunk = nn.ModuleList(nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in zip(chans, chans[1:]))
        self.mix = nn.Conv2d(chans[-1], chans[-1], 3, padding=1)
        self.score = nn.Conv2d(chans[-1], len(cfg["states"]), 1)
        self.reset(cfg["prior"])

    def reset(self, prior):
        # start from p = prior for every state, otherwise the negatives swamp the first steps (as in RetinaNet)
        bias = -math.log((1 - prior) / prior)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
        nn.init.constant_(self.score.bias, bias)

    def forward(self, x):
        for layer in self.trunk:
            x = F.relu(layer(x))
        x = F.relu(self.mix(x))
        return self.score(x).mean(dim=(-2, -1))


def train(cfg):
    torch.manual_seed(cfg["seed"])
    xtr, ytr = dataset(cfg, cfg["train_per_state"], 1)
    xte, yte = dataset(cfg, cfg["test_per_state"], 2)
    mean, std = xtr.mean((0, 2, 3), keepdim=True), xtr.std((0, 2, 3), keepdim=True)
    xtr, xte = (xtr - mean) / std, (xte - mean) / std
    onehot = F.one_hot(ytr).float()

    net = CellFCN(cfg)
    opt = torch.optim.SGD(net.parameters(), **cfg["opt"])
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.05, total_iters=cfg["epochs"])
    for epoch in range(cfg["epochs"]):
        t0, tot = time.time(), 0.0
        net.train()
        for i in torch.randperm(len(xtr)).split(cfg["batch_size"]):
            x = xtr[i]
            if torch.rand(1) < 0.5:
                x = x.transpose(2, 3)     # cells have no up or down
            loss = F.binary_cross_entropy_with_logits(net(x), onehot[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() * len(i)
        sched.step()
        print(f"epoch {epoch} bce {tot / len(xtr):.4f} ({time.time() - t0:.1f} s)")
    net.eval()
    with torch.no_grad():
        return (net(xte).sigmoid().argmax(1) == yte).float().mean().item()


if __name__ == "__main__":
    print("test accuracy: {:.4f}".format(train(CONFIG)))
