"""Coin sorting, written against a small Keras-like front end (model.add / compile / fit / evaluate)."""
import numpy as np
import torch
from scipy.ndimage import gaussian_filter, rotate
from torch import nn


class Sequential:
    """model = Sequential((1, 28, 28)); model.add(...); model.compile(...); model.fit(...)"""

    def __init__(self, input_shape):
        self.net = nn.Sequential()
        self.shape = tuple(input_shape)

    def _append(self, *layers):
        for layer in layers:
            self.net.append(layer)
        self.net.eval()
        with torch.no_grad():
            self.shape = tuple(self.net(torch.zeros(1, *self._input())).shape[1:])

    def _input(self):
        if not hasattr(self, "_in"):
            self._in = self.shape
        return self._in

    def conv(self, filters, size=3, pool=2):
        self._input()
        self._append(nn.Conv2d(self.shape[0], filters, size, padding=size // 2, bias=False),
                     nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(pool))

    def flatten(self):
        self._append(nn.Flatten())

    def dense(self, units, relu=True):
        self._append(nn.Linear(self.shape[0], units), *([nn.ReLU()] if relu else []))

    def dropout(self, keep):
        """Keeps each unit with probability `keep` while training."""
        self._append(nn.Dropout(keep))

    def compile(self, optimizer="adam", lr=1e-3, decay=1.0):
        self.opt = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](self.net.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.ExponentialLR(self.opt, decay)
        self.loss = nn.CrossEntropyLoss()

    def fit(self, x, y, epochs, batch_size, validation_data):
        for epoch in range(epochs):
            self.net.train()
            total = right = 0
            for idx in torch.randperm(len(x)).split(batch_size):
                out = self.net(x[idx])
                loss = self.loss(out, y[idx])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                total += loss.item() * len(idx)
                right += (out.argmax(1) == y[idx]).sum().item()
            self.sched.step()
            v_loss, v_acc = self.evaluate(*validation_data)
            print(f"Epoch {epoch + 1}/{epochs} - loss: {total / len(x):.4f} - acc: {right / len(x):.4f}"
                  f" - val_loss: {v_loss:.4f} - val_acc: {v_acc:.4f}")

    @torch.no_grad()
    def evaluate(self, x, y):
        self.net.eval()
        out = torch.cat([self.net(c) for c in x.split(200)])
        return self.loss(out, y).item(), (out.argmax(1) == y).float().mean().item()


COINS = ["1 plain", "2 star", "5 ring", "10 cross", "20 notched", "50 holed", "100 crescent"]


def coin(kind, rng, n=28):
    y, x = np.mgrid[:n, :n] - n / 2 + .5
    rad, ang = np.hypot(y, x), np.arctan2(y, x)
    size = rng.uniform(9.5, 11)
    rim = size * (1 - .09 * (np.cos(7 * ang) > .3) * (kind == 4))
    disc = (rad < rim).astype(float)
    relief = np.zeros((n, n))
    if kind == 1:
        relief = (rad < size * (.5 + .2 * np.cos(5 * ang))).astype(float)
    elif kind == 2:
        relief = (np.abs(rad - .58 * size) < 1.4).astype(float)
    elif kind == 3:
        relief = ((np.minimum(abs(x), abs(y)) < 1.5) & (rad < .7 * size)).astype(float)
    elif kind == 5:
        disc *= rad > .24 * size
    elif kind == 6:
        relief = ((rad < .6 * size) & (np.hypot(y, x - .28 * size) > .48 * size)).astype(float)
    pic = disc * (1 + rng.uniform(.5, .9) * relief)
    pic = rotate(pic, rng.uniform(0, 360), reshape=False, order=1)
    pic = np.roll(pic, rng.integers(-3, 4, 2), (0, 1))
    tray, metal = rng.uniform(.15, .4), rng.uniform(.35, .6)
    tarnish = 1 + .1 * gaussian_filter(rng.normal(0, 4, (n, n)), 2)
    pic = tray + pic * (metal * tarnish + rng.uniform(-.012, .012) * x)
    return gaussian_filter(pic, rng.uniform(.4, 1)) + rng.normal(0, .05, (n, n))


def load_coins(n, rng):
    kinds = rng.integers(len(COINS), size=n)
    return torch.tensor(np.stack([coin(k, rng) for k in kinds]), dtype=torch.float32)[:, None], torch.tensor(kinds)


torch.set_num_threads(1)
torch.manual_seed(99)
rng = np.random.default_rng(99)
x_train, y_train = load_coins(1500, rng)
x_val, y_val = load_coins(300, rng)
x_test, y_test = load_coins(500, rng)
mean, std = x_train.mean(), x_train.std()
x_train, x_val, x_test = ((x - mean) / std for x in (x_train, x_val, x_test))

model = Sequential((1, 28, 28))
model.conv(16)
model.conv(32)
model.conv(48)
model.flatten()
model.dropout(keep=.75)
model.dense(64)
model.dropout(keep=.75)
model.dense(len(COINS), relu=False)
model.compile("adam", lr=2e-3, decay=.85)
model.fit(x_train, y_train, epochs=9, batch_size=50, validation_data=(x_val, y_val))
test_loss, test_acc = model.evaluate(x_test, y_test)
print(f"test_loss: {test_loss:.4f} - test_acc: {test_acc:.4f}")
