"""Suits of playing cards from corner crops.

Regulariser: DisturbLabel (Xie et al., 2016): in every batch a small share of the labels is replaced by random ones.
"""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFilter

SUITS = ["clubs", "diamonds", "hearts", "spades"]


# ------------------------------------------------------------------ data
def corner(suit, rng, n=28):
    s = 3 * n
    paper = int(rng.integers(190, 245))
    im = Image.new("L", (s, s), paper)
    d = ImageDraw.Draw(im)
    ink = int(rng.integers(40, 130))
    cx, cy = s / 2 + rng.uniform(-9, 9, 2)
    r, tilt = rng.uniform(9, 12), rng.uniform(-.4, .4) + np.pi * (rng.random() < .5)

    def put(points):
        d.polygon([(cx + x * np.cos(tilt) - y * np.sin(tilt), cy + x * np.sin(tilt) + y * np.cos(tilt))
                   for x, y in points], fill=ink)

    def disc(x, y, q):
        put([(x + q * np.cos(t), y + q * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 16)])

    if suit == 0:
        disc(0, -r, .85 * r), disc(-r, .4 * r, .85 * r), disc(r, .4 * r, .85 * r)
    elif suit == 1:
        put([(0, -2.1 * r), (1.5 * r, 0), (0, 2.1 * r), (-1.5 * r, 0)])
    else:
        f = 1 if suit == 2 else -1
        disc(-.85 * r, -.55 * f * r, .95 * r), disc(.85 * r, -.55 * f * r, .95 * r)
        put([(-1.72 * r, -.2 * f * r), (1.72 * r, -.2 * f * r), (0, 2 * f * r)])
    if suit in (0, 3):
        put([(-.2 * r, .3 * r), (.2 * r, .3 * r), (.7 * r, 2.1 * r), (-.7 * r, 2.1 * r)])
    for _ in range(rng.integers(0, 3)):                          # creases
        p = rng.uniform(0, s, 4).tolist()
        d.line(p, fill=int(rng.integers(90, 230)), width=int(rng.integers(2, 5)))
    im = im.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3))).resize((n, n), Image.BOX)
    return np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, .09, (n, n)).astype(np.float32)


def deck(n, rng):
    y = rng.integers(len(SUITS), size=n)
    return torch.from_numpy(np.stack([corner(k, rng) for k in y]))[:, None], torch.from_numpy(y)


class Batches:
    """Mini-batches without a copy: the store is shuffled once per pass, and batches are slices of it."""

    def __init__(self, x, y, size, shuffle=False):
        self.x, self.y, self.size, self.shuffle = x, y, size, shuffle

    def __iter__(self):
        if self.shuffle:
            order = torch.randperm(len(self.y))
            self.x, self.y = self.x[order], self.y[order]
        for start in range(0, len(self.y), self.size):
            yield self.x[start:start + self.size], self.y[start:start + self.size]


# ------------------------------------------------------------------ trainer and callbacks
class DisturbLabel:
    def __init__(self, share, classes):
        self.share, self.classes = share, classes

    def on_batch(self, trainer, x, y):
        hit = torch.rand(len(y)) < self.share
        y[hit] = torch.randint(self.classes, (int(hit.sum()),))
        return x, y


class StepRate:
    def __init__(self, at, factor):
        self.at, self.factor = at, factor

    def on_epoch(self, trainer, logs):
        if trainer.epoch in self.at:
            for g in trainer.opt.param_groups:
                g["lr"] *= self.factor


class Printer:
    def on_epoch(self, trainer, logs):
        print(f"epoch {trainer.epoch:2d} | " + " | ".join(f"{k} {v:.3f}" for k, v in logs.items()))


class Trainer:
    def __init__(self, model, opt, callbacks):
        self.model, self.opt, self.callbacks, self.epoch = model, opt, callbacks, 0
        self.criterion = nn.CrossEntropyLoss()

    def fit(self, train, val, epochs):
        for self.epoch in range(1, epochs + 1):
            self.model.train()
            losses = []
            for x, y in train:
                for cb in self.callbacks:
                    if hasattr(cb, "on_batch"):
                        x, y = cb.on_batch(self, x, y)
                loss = self.criterion(self.model(x), y)
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                losses.append(loss.item())
            logs = {"loss": float(np.mean(losses)), "val acc": self.score(val)}
            for cb in self.callbacks:
                if hasattr(cb, "on_epoch"):
                    cb.on_epoch(self, logs)

    def score(self, batches):
        self.model.eval()
        with torch.no_grad():
            return torch.cat([self.model(x).argmax(1).eq(y) for x, y in batches]).float().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(52)
    rng = np.random.default_rng(52)
    (x, y), (xv, yv), (xt, yt) = deck(1000, rng), deck(250, rng), deck(500, rng)
    m, s = x.mean(), x.std()
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(288, len(SUITS)))
    opt = torch.optim.SGD(model.parameters(), lr=.05, momentum=.9, weight_decay=1e-4)
    trainer = Trainer(model, opt, [DisturbLabel(.1, len(SUITS)), StepRate((10, 13), .3), Printer()])
    trainer.fit(Batches((x - m) / s, y, 50, shuffle=True), Batches((xv - m) / s, yv, 125), epochs=15)
    print(f"test acc {trainer.score(Batches((xt - m) / s, yt, 125)):.4f}")
