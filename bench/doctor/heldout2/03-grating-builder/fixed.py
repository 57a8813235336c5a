import math

import torch
from torch import nn

CONFIG = {
    "size": 24,
    "orientations": 12,
    "train": 2400,
    "val": 600,
    "channels": [16, 32],
    "hidden": [64, 32],
    "lr": 0.003,
    "epochs": 8,
    "batch": 60,
}


def make_gratings(n, cfg, gen):
    """Sine gratings with random phase and frequency; the class is the orientation."""
    s = cfg["size"]
    k = cfg["orientations"]
    labels = torch.randint(k, (n,), generator=gen)
    theta = labels.float() * math.pi / k
    freq = 0.5 + 0.5 * torch.rand(n, generator=gen)
    phase = 2 * math.pi * torch.rand(n, generator=gen)
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    proj = xx[None] * theta.cos()[:, None, None] + yy[None] * theta.sin()[:, None, None]
    img = torch.sin(freq[:, None, None] * proj + phase[:, None, None])
    img = img + 0.8 * torch.randn(n, s, s, generator=gen)
    return img[:, None] / 1.07, labels


def build_convs(channels):
    layers = []
    prev = 1
    for c in channels:
        layers += [nn.Conv2d(prev, c, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        prev = c
    return layers


def build_head(n_in, hidden, n_out):
    sizes = [n_in, *hidden, n_out]
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return layers[:-1]


def build_model(cfg):
    side = cfg["size"] // 2 ** len(cfg["channels"])
    n_flat = cfg["channels"][-1] * side * side
    return nn.Sequential(
        *build_convs(cfg["channels"]), nn.Flatten(), *build_head(n_flat, cfg["hidden"], cfg["orientations"])
    )


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def fit(cfg):
    gen = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    x, y = make_gratings(cfg["train"], cfg, gen)
    xv, yv = make_gratings(cfg["val"], cfg, gen)
    model = build_model(cfg)
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    for epoch in range(cfg["epochs"]):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x), generator=gen).split(cfg["batch"]):
            opt.zero_grad()
            loss = loss_fn(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch}: loss {total / len(x):.3f} val {accuracy(model, xv, yv):.3f}")
    return accuracy(model, xv, yv)


print(f"accuracy: {fit(CONFIG):.3f}")
