"""Fine-tune a small backbone, pre-trained on plain solids, to map symbols.

Phase 0  pre-train on 4 filled solids (plenty of data)
Phase 1  new head on the 6 map symbols, backbone frozen
Phase 2  last two stages released, lower rate for them
"""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SEED = 11
SIZE = 28
BATCH = 40
SYMBOLS = ["church", "tower", "spring", "camp", "quarry", "ford"]


def ngon(cx, cy, r, n, phase):
    return [(cx + r * math.cos(phase + 2 * math.pi * k / n), cy + r * math.sin(phase + 2 * math.pi * k / n)) for k in range(n)]


def draw_solid(kind, rng):
    im = Image.new("L", (SIZE, SIZE), int(rng.integers(20, 90)))
    d = ImageDraw.Draw(im)
    cx, cy = rng.uniform(10, 18, 2)
    r = rng.uniform(6, 9)
    d.polygon(ngon(cx, cy, r, [3, 4, 5, 24][kind], rng.uniform(0, 2 * math.pi)), fill=int(rng.integers(140, 240)))
    return np.asarray(im, np.float32) + rng.normal(0, 14, (SIZE, SIZE))


def draw_symbol(kind, rng):
    im = Image.new("L", (SIZE, SIZE), int(rng.integers(20, 110)))
    d = ImageDraw.Draw(im)
    x, y = rng.uniform(10, 18, 2)
    s = rng.uniform(5, 8)
    c = int(rng.integers(150, 240))
    w = int(rng.integers(1, 3))
    if kind == 0:                                   # circle under a cross
        d.ellipse((x - s / 2, y, x + s / 2, y + s), outline=c, width=w)
        d.line((x, y - s, x, y), fill=c, width=w)
        d.line((x - s / 2, y - s / 2, x + s / 2, y - s / 2), fill=c, width=w)
    elif kind == 1:                                 # circle under a bar
        d.ellipse((x - s / 2, y, x + s / 2, y + s), outline=c, width=w)
        d.line((x, y - s, x, y), fill=c, width=w)
    elif kind == 2:                                 # circle with a tail below
        d.ellipse((x - s / 2, y - s, x + s / 2, y), outline=c, width=w)
        d.line((x, y, x, y + s), fill=c, width=w)
    elif kind == 3:                                 # tent
        d.line([(x - s, y + s), (x, y - s), (x + s, y + s)], fill=c, width=w)
    elif kind == 4:                                 # crossed hammers
        d.line((x - s, y - s, x + s, y + s), fill=c, width=w)
        d.line((x - s, y + s, x + s, y - s), fill=c, width=w)
    else:                                           # two banks
        d.line((x - s, y - s, x - s, y + s), fill=c, width=w)
        d.line((x + s, y - s, x + s, y + s), fill=c, width=w)
    return np.asarray(im, np.float32) + rng.normal(0, 26, (SIZE, SIZE))


def make_set(draw, classes, n, rng, mean=None, std=None):
    y = rng.permutation(np.arange(n) % classes)
    x = np.stack([draw(int(k), rng) for k in y]).astype(np.float32)[:, None]
    mean = x.mean() if mean is None else mean
    std = x.std() if std is None else std
    return TensorDataset(torch.from_numpy((x - mean) / std), torch.from_numpy(y).long()), mean, std


def stage(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.GroupNorm(4, c_out), nn.ReLU(), nn.MaxPool2d(2))


class SymbolNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stage1, self.stage2, self.stage3 = stage(1, 12), stage(12, 24), stage(24, 48)
        self.head = nn.Linear(48 * 3 * 3, classes)

    def forward(self, x):
        return self.head(self.stage3(self.stage2(self.stage1(x))).flatten(1))


def accuracy(net, loader):
    net.eval()
    with torch.no_grad():
        return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def fit(net, opt, train, epochs, tag, val=None):
    """Trains; with a validation loader leaves the best epoch's weights in the net."""
    best, state = -1.0, None
    for ep in range(epochs):
        net.train()
        total = 0.0
        for x, y in train:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
        line = f"{tag} {ep + 1:2d}  loss {total / len(train.dataset):.3f}"
        if val is not None:
            acc = accuracy(net, val)
            line += f"  val {acc:.3f}"
            if acc > best:
                best, state = acc, copy.deepcopy(net.state_dict())
        print(line)
    if state is not None:
        net.load_state_dict(state)


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    solids, _, _ = make_set(draw_solid, 4, 1200, rng)
    train, mean, std = make_set(draw_symbol, 6, 600, rng)
    val, _, _ = make_set(draw_symbol, 6, 240, rng, mean, std)
    test, _, _ = make_set(draw_symbol, 6, 480, rng, mean, std)
    train, val, test = DataLoader(train, BATCH, shuffle=True), DataLoader(val, 240), DataLoader(test, 240)

    net = SymbolNet(4)
    fit(net, torch.optim.Adam(net.parameters(), lr=2e-3), DataLoader(solids, BATCH, shuffle=True), 4, "pre-train")

    # phase 1: only the new head learns
    for p in net.parameters():
        p.requires_grad = False
    net.head = nn.Linear(net.head.in_features, len(SYMBOLS))
    fit(net, torch.optim.Adam(net.head.parameters(), lr=2e-3), train, 4, "head", val)

    # phase 2: the upper stages follow, more slowly than the head
    for part in (net.stage2, net.stage3):
        part.requires_grad = True
    opt = torch.optim.Adam([
        {"params": net.stage2.parameters(), "lr": 5e-4},
        {"params": net.stage3.parameters(), "lr": 1e-3},
        {"params": net.head.parameters(), "lr": 2e-3},
    ])
    fit(net, opt, train, 8, "fine-tune", val)
    print(f"test accuracy {accuracy(net, test):.4f}")


if __name__ == "__main__":
    main()
