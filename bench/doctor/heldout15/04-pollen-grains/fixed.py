"""Pollen counting: grain type from a 24x24 microscope crop.

Group normalisation everywhere, because the microscope PC can only hold small batches.
"""
import time

import numpy as np
import torch
import torch.nn as nn
from scipy import ndimage

GRAINS = ("birch", "grass", "pine", "ragweed", "hazel")
SIDE = 24


# ----------------------------------------------------------------- data
def draw_grain(kind, rng):
    yy, xx = np.mgrid[:SIDE, :SIDE].astype(float)
    cy, cx = SIDE / 2 + rng.uniform(-2.5, 2.5, 2)
    radius = rng.uniform(5, 8)
    rot = rng.uniform(0, 2 * np.pi)
    dy, dx = yy - cy, xx - cx
    r, a = np.hypot(dy, dx), np.arctan2(dy, dx) + rot
    wall = np.exp(-((r - radius) / 1.0) ** 2)
    body = (r < radius) * .35
    if kind == "birch":                              # three pores on the wall
        img = body + wall
        for k in range(3):
            b = 2 * np.pi * k / 3 - rot
            img += .9 * np.exp(-((dx - radius * np.cos(b)) ** 2 + (dy - radius * np.sin(b)) ** 2) / 3)
    elif kind == "grass":                            # smooth, one pore
        b = -rot
        img = body + .9 * wall + np.exp(-((dx - .6 * radius * np.cos(b)) ** 2 + (dy - .6 * radius * np.sin(b)) ** 2) / 3)
    elif kind == "pine":                             # two air sacs
        img = (r < .7 * radius) * .5
        for s in (-1, 1):
            d = np.hypot(dx - s * .9 * radius * np.cos(-rot), dy - s * .9 * radius * np.sin(-rot))
            img += (d < .5 * radius) * .8
    elif kind == "ragweed":                          # spines
        img = body + np.exp(-((r - radius - 1.1 * np.cos(12 * a)) / .9) ** 2)
    else:                                            # rounded triangle
        edge = radius * (1 + .16 * np.cos(3 * a))
        img = (r < edge) * .35 + np.exp(-((r - edge) / 1.0) ** 2)
    img = ndimage.gaussian_filter(img, rng.uniform(.3, .9))
    light = 1 + .3 * ((xx - SIDE / 2) * np.cos(rot * 3) + (yy - SIDE / 2) * np.sin(rot * 3)) / SIDE
    return rng.uniform(.7, 1.1) - rng.uniform(.4, .7) * img * light + rng.normal(0, .06, img.shape)


def make_split(n, rng):
    y = rng.integers(0, len(GRAINS), n)
    x = np.stack([draw_grain(GRAINS[i], rng) for i in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


# ----------------------------------------------------------------- model
def group_norm(channels):
    return nn.GroupNorm(min(8, channels), channels)


class ConvGN(nn.Sequential):
    def __init__(self, cin, cout, kernel=3, stride=1):
        super().__init__(
            nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False),
            group_norm(cout),
            nn.ReLU(inplace=True),
        )


class PollenNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.encoder = nn.Sequential(ConvGN(1, 16), ConvGN(16, 24, stride=2), ConvGN(24, 32), ConvGN(32, 32, stride=2))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.neck = ConvGN(32, 32, kernel=1)
        self.classify = nn.Conv2d(32, n_classes, 1)

    def forward(self, x):
        return self.classify(self.neck(self.pool(self.encoder(x)))).flatten(1)


# ----------------------------------------------------------------- training
class Callback:
    def on_epoch_end(self, trainer, logs):
        pass

    def on_train_end(self, trainer):
        pass


class PrintProgress(Callback):
    def on_epoch_end(self, trainer, logs):
        print("  ".join(f"{k}={v:.3f}" for k, v in logs.items()))


class KeepBest(Callback):
    def __init__(self, key="val_acc"):
        self.key, self.best, self.weights = key, -1.0, None

    def on_epoch_end(self, trainer, logs):
        if logs[self.key] > self.best:
            self.best = logs[self.key]
            self.weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}

    def on_train_end(self, trainer):
        trainer.model.load_state_dict(self.weights)


class Trainer:
    def __init__(self, model, lr, batch_size, callbacks=()):
        self.model, self.batch_size, self.callbacks = model, batch_size, callbacks
        self.loss_fn = nn.CrossEntropyLoss()
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)

    def fit(self, train, val, epochs):
        x, y = train
        for epoch in range(epochs):
            self.model.train()
            seen, total, t0 = 0, 0.0, time.time()
            for idx in torch.randperm(len(x)).split(self.batch_size):
                self.opt.zero_grad(set_to_none=True)
                loss = self.loss_fn(self.model(x[idx]), y[idx])
                loss.backward()
                self.opt.step()
                total, seen = total + loss.item() * len(idx), seen + len(idx)
            logs = {"epoch": epoch + 1, "loss": total / seen, "val_acc": self.score(val), "sec": time.time() - t0}
            for cb in self.callbacks:
                cb.on_epoch_end(self, logs)
        for cb in self.callbacks:
            cb.on_train_end(self)

    @torch.no_grad()
    def score(self, data):
        self.model.eval()
        x, y = data
        pred = torch.cat([self.model(c).argmax(1) for c in x.split(100)])
        return (pred == y).float().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(31)
    rng = np.random.default_rng(31)
    train, val, test = make_split(1280, rng), make_split(300, rng), make_split(400, rng)
    m, s = train[0].mean(), train[0].std()
    train, val, test = [((x - m) / s, y) for x, y in (train, val, test)]
    trainer = Trainer(PollenNet(len(GRAINS)), lr=2e-3, batch_size=16, callbacks=[PrintProgress(), KeepBest()])
    trainer.fit(train, val, epochs=6)
    print(f"accuracy on unseen grains {trainer.score(test):.4f}")
