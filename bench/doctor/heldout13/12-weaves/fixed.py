import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# ConvNeXt-like net for the weave of a fabric; warp and weft may be either colour, so the contrast can be inverted.
config = {
    "weaves": ["plain", "twill_s", "twill_z", "basket", "satin"],
    "side": 24,
    "per_class": {"train": 220, "val": 50, "test": 90},
    "net": {"stem": 20, "depth": 2, "ratio": 2},
    "batch": 44,
    "epochs": 9,
    "peak_lr": 3e-3,
    "seed": 6,
}


def weave_pattern(name, i, j):
    if name == "plain":
        return (i + j) % 2
    if name == "twill_s":
        return ((i + j) % 4) < 2
    if name == "twill_z":
        return ((i - j) % 4) < 2
    if name == "basket":
        return (i // 2 + j // 2) % 2
    return (i + 2 * j) % 5 == 0


def swatch(name, rng, side):
    pitch = rng.uniform(2.2, 3.0)
    angle = rng.normal(0, 0.06)
    y, x = np.mgrid[0:2 * side, 0:2 * side] / 2
    u = (x * math.cos(angle) + y * math.sin(angle)) / pitch + rng.uniform(20, 40)
    v = (-x * math.sin(angle) + y * math.cos(angle)) / pitch + rng.uniform(20, 40)
    up = np.asarray(weave_pattern(name, np.floor(u).astype(int), np.floor(v).astype(int)), float)
    up = up.reshape(side, 2, side, 2).mean((1, 3)) - up.mean()
    contrast = rng.choice([-1, 1]) * rng.uniform(0.2, 0.45)
    glow = rng.uniform(-0.15, 0.15, 2)
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    return 0.5 + contrast * up + glow[0] * x + glow[1] * y + rng.normal(0, 0.17, (side, side))


def build_data(cfg):
    rng = np.random.default_rng(cfg["seed"])
    sets = {}
    for part, n in cfg["per_class"].items():
        x = np.stack([swatch(w, rng, cfg["side"]) for w in cfg["weaves"] for _ in range(n)])
        y = np.repeat(np.arange(len(cfg["weaves"])), n)
        sets[part] = (torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y))
    mean, std = sets["train"][0].mean(), sets["train"][0].std()
    return {part: ((x - mean) / std, y) for part, (x, y) in sets.items()}


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def next_block(width, ratio):
    return Residual(nn.Sequential(
        nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, ratio * width, 1),
        nn.GELU(),
        nn.Conv2d(ratio * width, width, 1),
    ))


def build_net(cfg):
    width, ratio = cfg["net"]["stem"], cfg["net"]["ratio"]
    layers = [nn.Conv2d(1, width, 2, stride=2, bias=False), nn.BatchNorm2d(width)]
    layers += [next_block(width, ratio) for _ in range(cfg["net"]["depth"])]
    layers += [nn.Conv2d(width, 2 * width, 2, stride=2, bias=False), nn.BatchNorm2d(2 * width)]
    layers += [next_block(2 * width, ratio) for _ in range(cfg["net"]["depth"])]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, len(cfg["weaves"]))]
    return nn.Sequential(*layers)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part).argmax(1) for part in x.split(150)]).eq(y).float().mean().item()


def run(cfg):
    torch.manual_seed(cfg["seed"])
    data = build_data(cfg)
    net = build_net(cfg)
    x, y = data["train"]
    steps = math.ceil(len(x) / cfg["batch"])
    opt = torch.optim.Adam(net.parameters(), lr=cfg["peak_lr"])
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, cfg["peak_lr"], total_steps=steps * cfg["epochs"])
    record = {"val": -1.0, "weights": None}
    for epoch in range(cfg["epochs"]):
        net.train()
        mean_loss = 0.0
        for idx in torch.randperm(len(x)).split(cfg["batch"]):
            opt.zero_grad()
            loss = F.cross_entropy(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            sched.step()
            mean_loss += loss.item() / steps
        val = accuracy(net, *data["val"])
        if val > record["val"]:
            record = {"val": val, "weights": copy.deepcopy(net.state_dict())}
        print({"epoch": epoch, "loss": round(mean_loss, 3), "val": round(val, 3)})
    net.load_state_dict(record["weights"])
    print("test accuracy", round(accuracy(net, *data["test"]), 3))


run(config)
