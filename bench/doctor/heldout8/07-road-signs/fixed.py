import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

# ----------------------------------------------------------------- settings
SEED = 19
IMG = 32
N_CLASSES = 6
TRAIN, TEST = 1200, 420
EPOCHS = 5
BATCH = 40
BODY_LR = 0.01
HEAD_LR = 1e-3


# --------------------------------------------------------------------- data
def draw_sign(kind, rnd):
    """0 stop, 1 yield, 2 no entry, 3 speed, 4 priority, 5 parking"""
    im = Image.new("RGB", (64, 64), tuple(rnd.randint(60, 190) for _ in range(3)))
    d = ImageDraw.Draw(im)
    for _ in range(6):
        x, y = rnd.randint(0, 63), rnd.randint(0, 63)
        d.rectangle((x, y, x + rnd.randint(4, 30), y + rnd.randint(4, 30)),
                    fill=tuple(rnd.randint(40, 220) for _ in range(3)))
    r = rnd.uniform(15, 23)
    cx, cy = rnd.uniform(25, 39), rnd.uniform(25, 39)
    red = (rnd.randint(150, 230), rnd.randint(0, 60), rnd.randint(0, 60))
    white = (rnd.randint(200, 255),) * 3

    def ngon(n, rad, rot):
        return [(cx + rad * math.cos(rot + 2 * math.pi * i / n), cy + rad * math.sin(rot + 2 * math.pi * i / n))
                for i in range(n)]

    def disc(rad, col):
        d.ellipse((cx - rad, cy - rad, cx + rad, cy + rad), fill=col)

    if kind == 0:
        d.polygon(ngon(8, r, math.pi / 8), fill=red)
        d.rectangle((cx - r * .6, cy - r * .2, cx + r * .6, cy + r * .2), fill=white)
    elif kind == 1:
        d.polygon(ngon(3, r, math.pi / 2), fill=red)
        d.polygon(ngon(3, r * .6, math.pi / 2), fill=white)
    elif kind == 2:
        disc(r, red)
        d.rectangle((cx - r * .7, cy - r * .18, cx + r * .7, cy + r * .18), fill=white)
    elif kind == 3:
        disc(r, red)
        disc(r * .7, white)
        d.line((cx, cy - r * .4, cx, cy + r * .4), fill=(20, 20, 20), width=4)
    elif kind == 4:
        d.polygon(ngon(4, r, 0), fill=white)
        d.polygon(ngon(4, r * .7, 0), fill=(220, 180, 20))
    else:
        d.rectangle((cx - r * .8, cy - r * .8, cx + r * .8, cy + r * .8), fill=(20, 60, rnd.randint(140, 220)))
        d.line((cx - r * .3, cy - r * .5, cx - r * .3, cy + r * .5), fill=white, width=4)
        d.ellipse((cx - r * .3, cy - r * .5, cx + r * .3, cy + r * .1), outline=white, width=4)
    im = im.filter(ImageFilter.GaussianBlur(rnd.uniform(0.3, 1.2))).resize((IMG, IMG), Image.BILINEAR)
    return np.asarray(im).astype(np.float32)


def build(n, rnd):
    ys = [rnd.randrange(N_CLASSES) for _ in range(n)]
    xs = np.stack([draw_sign(k, rnd) for k in ys])
    xs = xs + np.random.RandomState(n).randn(*xs.shape) * 12
    xs = torch.tensor(xs, dtype=torch.float32).permute(0, 3, 1, 2).contiguous() / 255
    return xs, torch.tensor(ys)


def batches(x, y, size, shuffle):
    idx = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    for i in range(0, len(x), size):
        j = idx[i:i + size]
        yield x[j], y[j]


# -------------------------------------------------------------------- model
class SignNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 64), nn.LeakyReLU(0.1),
                                  nn.Dropout(0.2), nn.Linear(64, N_CLASSES))

    def forward(self, x):
        return self.head(self.body(x))


class SplitOptimizer:
    """SGD for the convolutions, Adam for the classifier."""

    def __init__(self, net):
        self.body = torch.optim.SGD(net.body.parameters(), lr=BODY_LR, momentum=0.9)
        self.head = torch.optim.Adam(net.head.parameters(), lr=HEAD_LR)

    def zero_grad(self):
        self.body.zero_grad()
        self.head.zero_grad()

    def step(self):
        self.body.step()
        self.head.step()

    def scale_lr(self, factor):
        for opt in (self.body, self.head):
            for g in opt.param_groups:
                g["lr"] *= factor


# --------------------------------------------------------------------- main
if __name__ == "__main__":
    random.seed(SEED)
    torch.manual_seed(SEED)
    rnd = random.Random(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    x_tr, y_tr = build(TRAIN, rnd)
    x_te, y_te = build(TEST, rnd)
    m = x_tr.mean(dim=(0, 2, 3), keepdim=True)
    s = x_tr.std(dim=(0, 2, 3), keepdim=True)
    x_tr, x_te = (x_tr - m) / s, (x_te - m) / s

    net = SignNet().to(device)
    optimizer = SplitOptimizer(net)

    for ep in range(EPOCHS):
        if ep == EPOCHS - 1:
            optimizer.scale_lr(0.2)
        net.train()
        tot = 0.0
        for xb, yb in batches(x_tr, y_tr, BATCH, True):
            xb, yb = xb.to(device), yb.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            optimizer.step()
            tot += loss.item() * len(yb)
        print(f"epoch {ep + 1}/{EPOCHS} loss={tot / TRAIN:.4f}")

    net.eval()
    ok = 0
    with torch.no_grad():
        for xb, yb in batches(x_te, y_te, 140, False):
            ok += (net(xb.to(device)).argmax(1).cpu() == yb).sum().item()
    print(f"accuracy: {ok / TEST:.3f}")
