"""Fungal spores under the microscope: pre-train on atlas drawings, then fine-tune on micrographs.

Cutting and standardising the raw fields is slow on the real slides, so the prepared arrays are
kept in a cache folder and read back from there when they are asked for again.
"""
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom
from torch import nn
from torch.nn import functional as F

GENERA = {"Amanita": (1.1, 0.0, 0.0), "Boletus": (2.1, 0.0, 0.0), "Russula": (1.15, 0.16, 0.0),
          "Agaricus": (1.35, 0.0, 0.6), "Inocybe": (1.6, 0.16, 0.4)}
PIXELS = 26
PARTS = {"train": range(0, 28), "val": range(28, 36), "test": range(36, 48)}   # specimens of a genus
SHOTS = 4


def spore(rng, specimen, style):
    elong, warts, drop, n_warts, radius, tint, phase, plane = specimen
    yy, xx = np.mgrid[:2 * PIXELS, :2 * PIXELS] - (PIXELS - 0.5)
    angle = rng.normal(0, 0.4)
    dy, dx = rng.normal(0, 2.5, 2)
    u = ((xx - dx) * np.cos(angle) + (yy - dy) * np.sin(angle)) / np.sqrt(elong)
    v = (-(xx - dx) * np.sin(angle) + (yy - dy) * np.cos(angle)) * np.sqrt(elong)
    rim = radius * (1 + warts * np.cos(n_warts * np.arctan2(v, u) + phase)) - np.hypot(u, v)
    wall = np.exp(-(rim / 1.6) ** 2)
    body = (rim > 0) * (tint + drop * np.exp(-(u ** 2 + v ** 2) / (0.16 * radius ** 2)))
    if style == "drawing":
        return 1.0 - wall - 0.3 * body + rng.normal(0, 0.05, wall.shape)
    img = 0.8 - 0.5 * wall - 0.35 * body + plane
    return gaussian_filter(img, rng.uniform(0.8, 2.4)) * rng.uniform(0.8, 1.2) + rng.normal(0, 0.06, wall.shape)


def raw_fields(style, part):
    """Fields of the specimens that belong to a part, with the genus of each."""
    seed = 100 * (style == "drawing")
    for g, (elong, warts, drop) in enumerate(GENERA.values()):
        for s in PARTS[part]:
            rng = np.random.default_rng([seed, g, s])
            plane = gaussian_filter(rng.normal(0, 1, (2 * PIXELS, 2 * PIXELS)), 9)
            specimen = (elong * rng.lognormal(0, 0.09), max(0.0, warts + rng.normal(0, 0.02)),
                        max(0.0, drop + rng.normal(0, 0.1)), rng.integers(7, 12), rng.uniform(12, 17),
                        rng.uniform(0.1, 0.6), rng.uniform(0, 6), plane * 0.06 / plane.std())
            for _ in range(SHOTS):
                yield spore(rng, specimen, style), g


class Store:
    def __init__(self, folder):
        self.folder = Path(folder)

    def get(self, style, part):
        file = self.folder / f"{style}-{part}-{PIXELS}px.npz"
        if not file.exists():
            images, genus = zip(*raw_fields(style, part))
            small = np.stack([zoom(i, 0.5, order=1) for i in images]).astype(np.float32)
            np.savez(file, x=small[:, None], y=np.array(genus))
        with np.load(file) as z:
            return torch.from_numpy(z["x"]), torch.from_numpy(z["y"])


def body():
    layers, c = [], 1
    for width in (20, 36, 48):
        layers += [nn.Conv2d(c, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.1),
                   nn.MaxPool2d(2)]
        c = width
    return nn.Sequential(*layers, nn.Flatten())


def batches(x, y, size=40):
    order = torch.randperm(len(x))
    for i in range(0, len(x) - size + 1, size):
        yield x[order[i:i + size]], y[order[i:i + size]]


def fit_epoch(net, opt, x, y):
    net.train()
    for xb, yb in batches(x, y):
        opt.zero_grad()
        F.cross_entropy(net(xb), yb, label_smoothing=0.05).backward()
        opt.step()


@torch.no_grad()
def score(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        store = Store(cache)
        drawings = store.get("drawing", "train")
        train, val, test = (store.get("micrograph", part) for part in ("train", "val", "test"))

    norm = lambda data, ref: ((data[0] - ref[0].mean()) / ref[0].std(), data[1])
    val, test = norm(val, train), norm(test, train)
    drawings, train = norm(drawings, drawings), norm(train, train)

    backbone, head = body(), nn.Linear(48 * 9, len(GENERA))
    net = nn.Sequential(backbone, nn.Dropout(0.3), head)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(4):
        fit_epoch(net, opt, *drawings)
    print(f"drawings -> micrographs, as is: val {score(net, *val):.3f}")

    head.reset_parameters()
    opt = torch.optim.Adam([{"params": head.parameters(), "lr": 2e-3},
                            {"params": backbone.parameters(), "lr": 8e-4}])
    best = (-1.0, None)
    for epoch in range(12):
        fit_epoch(net, opt, *train)
        v = score(net, *val)
        print(f"fine-tuning {epoch + 1:2d}: val {v:.3f}")
        if v > best[0]:
            best = (v, copy.deepcopy(net.state_dict()))
    net.load_state_dict(best[1])
    print(f"test accuracy: {score(net, *test):.4f}")


if __name__ == "__main__":
    main()
