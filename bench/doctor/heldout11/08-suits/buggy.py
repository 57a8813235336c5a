"""Card suits. The backbone first learns ink colour (cheap labels), then the suit net is tuned on top of it."""
import math
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

SUITS = ("clubs", "diamonds", "hearts", "spades")
opts = SimpleNamespace(side=20, n_train=1800, n_val=300, n_test=500, batch=50,
                       colour_epochs=2, warm_epochs=2, tune_epochs=12, lr=0.003, seed=8)


# ---- drawing -------------------------------------------------------------
def pip_outline(suit):
    """Filled shapes of one pip, in units of its half height: ('poly', points) or ('disc', x, y, radius)."""
    if suit == "diamonds":
        return [("poly", [(0, -1), (.7, 0), (0, 1), (-.7, 0)])]
    if suit == "hearts":
        return [("disc", -.42, -.35, .48), ("disc", .42, -.35, .48), ("poly", [(-.85, -.15), (.85, -.15), (0, 1)])]
    stem = ("poly", [(0, .2), (.35, 1), (-.35, 1)])
    if suit == "spades":
        return [("disc", -.42, .25, .45), ("disc", .42, .25, .45), ("poly", [(-.84, .1), (.84, .1), (0, -1)]), stem]
    return [("disc", 0, -.5, .42), ("disc", -.48, .2, .42), ("disc", .48, .2, .42), ("disc", 0, 0, .25), stem]


def card(suit, rng, side, k=4):
    paper = int(rng.integers(150, 235))
    im = Image.new("RGB", (side * k, side * k), (paper, paper, int(paper * rng.uniform(.8, 1))))
    d = ImageDraw.Draw(im)
    red = suit in ("diamonds", "hearts")
    ink = tuple(int(v) for v in (rng.integers(140, 220), *rng.integers(20, 80, 2))) if red else (int(rng.integers(10, 70)),) * 3
    x0, y0 = rng.integers(-2, 3, 2) * k
    d.rectangle([x0, y0, x0 + 4 * k, y0 + 5 * k], outline=ink, width=3)  # corner index
    cx, cy = side * k * (.5 + rng.uniform(-.13, .13, 2))
    r, a = side * k * rng.uniform(.3, .4), rng.normal(0, .2)

    def place(x, y):
        return cx + r * (x * math.cos(a) - y * math.sin(a)), cy + r * (x * math.sin(a) + y * math.cos(a))

    for shape in pip_outline(suit):
        if shape[0] == "poly":
            d.polygon([place(*p) for p in shape[1]], fill=ink)
        else:
            (x, y), q = place(shape[1], shape[2]), shape[3] * r
            d.ellipse([x - q, y - q, x + q, y + q], fill=ink)
    out = np.asarray(im.resize((side, side), Image.BOX), dtype=np.float32) / 255
    return (out + rng.normal(0, .07, out.shape)).clip(0, 1).transpose(2, 0, 1)


def deal(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = np.stack([card(SUITS[i], rng, opts.side) for i in y])
    return torch.tensor(x, dtype=torch.float32) - .6, torch.tensor(y)


# ---- networks ------------------------------------------------------------
class Backbone(nn.Module):
    out_features = 32

    def __init__(self):
        super().__init__()
        self.block1 = self._block(3, 12)
        self.block2 = self._block(12, 24)
        self.block3 = self._block(24, 32)
        self.pool = nn.AdaptiveMaxPool2d(1)

    @staticmethod
    def _block(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.GroupNorm(4, b), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        return self.pool(self.block3(self.block2(self.block1(x)))).flatten(1)


class CardNet(nn.Module):
    def __init__(self, backbone, n_out):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.out_features, n_out)

    def forward(self, x):
        return self.head(self.backbone(x))


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad_(flag)


# ---- training ------------------------------------------------------------
def epoch_of(net, optimizer, x, y):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(opts.batch):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    return total / len(x)


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(opts.seed)
    x, y = deal(opts.n_train, 31)
    xv, yv = deal(opts.n_val, 32)
    xt, yt = deal(opts.n_test, 33)

    backbone = Backbone()
    colour_net = CardNet(backbone, 2)
    is_red = ((y == 1) | (y == 2)).long()
    optimizer = torch.optim.Adam(colour_net.parameters(), lr=opts.lr)
    for e in range(opts.colour_epochs):
        print(f"colour {e}: loss {epoch_of(colour_net, optimizer, x, is_red):.4f}")

    net = CardNet(backbone, len(SUITS))
    set_trainable(net.backbone, False)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=opts.lr)
    for e in range(opts.warm_epochs + opts.tune_epochs):
        if e == opts.warm_epochs:
            set_trainable(net.backbone, True)
        loss = epoch_of(net, optimizer, x, y)
        print(f"suit {e}: loss {loss:.4f} val accuracy {accuracy(net, xv, yv):.4f}")
    print(f"test accuracy {accuracy(net, xt, yt):.4f}")


if __name__ == "__main__":
    main()
