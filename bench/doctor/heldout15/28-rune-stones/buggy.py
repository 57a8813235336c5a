"""Carved runes on weathered stone; a little Keras-like layer over PyTorch.

The reading of every stone was noted in the field, and about a fifth of the field notes are known to be
wrong. The test stones were read again by two experts.
"""
import copy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

RUNES = {
    "fehu": [((2, 0), (2, 8)), ((2, 3), (6, 0)), ((2, 5), (6, 2))],
    "uruz": [((2, 0), (2, 8)), ((2, 0), (6, 3)), ((6, 3), (6, 8))],
    "thurisaz": [((2, 0), (2, 8)), ((2, 2), (6, 4)), ((6, 4), (2, 6))],
    "kenaz": [((6, 1), (2, 4)), ((2, 4), (6, 7))],
    "tiwaz": [((4, 0), (4, 8)), ((4, 0), (1, 3)), ((4, 0), (7, 3))],
    "gebo": [((1, 1), (7, 7)), ((7, 1), (1, 7))],
}
NAMES = list(RUNES)
N = 20


def carve(name, rng):
    yy, xx = np.mgrid[:N, :N].astype(float)
    sx, sy = rng.uniform(1.5, 2.0, 2)
    ox, oy = rng.uniform(1, N - 8 * sx - 1), rng.uniform(1, N - 8 * sy - 1)
    shear = rng.uniform(-0.15, 0.15)
    groove = np.zeros((N, N))
    for (ax, ay), (bx, by) in RUNES[name]:
        a = np.array([ox + ax * sx + shear * ay, oy + ay * sy]) + rng.normal(0, 0.35, 2)
        b = np.array([ox + bx * sx + shear * by, oy + by * sy]) + rng.normal(0, 0.35, 2)
        t = np.clip(((xx - a[0]) * (b - a)[0] + (yy - a[1]) * (b - a)[1]) / ((b - a) ** 2).sum(), 0, 1)
        dist = np.hypot(xx - a[0] - t * (b - a)[0], yy - a[1] - t * (b - a)[1])
        groove = np.maximum(groove, np.exp(-(dist / 0.8) ** 2))
    stone = gaussian_filter(rng.normal(size=(N, N)), 1.5)
    img = 0.55 + 0.12 * stone / stone.std() - rng.uniform(0.3, 0.5) * groove
    return img + rng.normal(0, 0.06, img.shape)


def stones(n, rng, wrong=0.0):
    y = rng.integers(0, len(NAMES), n)
    x = np.stack([carve(NAMES[k], rng) for k in y]).astype(np.float32)
    noted = np.where(rng.random(n) < wrong, (y + rng.integers(1, len(NAMES), n)) % len(NAMES), y)
    return torch.tensor(x)[:, None], torch.tensor(noted)


class EarlyStopping:
    def __init__(self, monitor="val_loss", patience=5):
        self.monitor, self.patience = monitor, patience
        self.best, self.wait, self.weights = float("inf"), 0, None

    def on_epoch_end(self, model, logs):
        """Returns True to end the training; the best weights are kept."""
        if logs[self.monitor] < self.best:
            self.best, self.wait = logs[self.monitor], 0
            self.weights = copy.deepcopy(model.net.state_dict())
        else:
            self.wait += 1
        return self.wait >= self.patience

    def on_train_end(self, model):
        model.net.load_state_dict(self.weights)


class Model:
    def __init__(self, *layers):
        self.net = nn.Sequential(*layers)

    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer(self.net.parameters()), loss
        return self

    def fit(self, x, y, batch_size, epochs, validation_data, callbacks=()):
        for epoch in range(1, epochs + 1):
            self.net.train()
            total = 0.0
            for idx in torch.randperm(len(x)).split(batch_size):
                loss = self.loss(self.net(x[idx]), y[idx])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(idx)
            val_loss, val_acc = self.evaluate(*validation_data)
            logs = {"loss": total / len(x), "val_loss": val_loss, "val_acc": val_acc}
            print(f"Epoch {epoch}/{epochs} - " + " - ".join(f"{k}: {v:.3f}" for k, v in logs.items()))
            if any([c.on_epoch_end(self, logs) for c in callbacks]):
                break
        for c in callbacks:
            c.on_train_end(self)

    @torch.no_grad()
    def evaluate(self, x, y):
        self.net.eval()
        logits = self.net(x)
        return self.loss(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    x_train, y_train = stones(1000, rng, wrong=0.2)
    x_val, y_val = stones(400, rng, wrong=0.2)
    x_test, y_test = stones(500, rng)
    mu, sd = x_train.mean(), x_train.std()
    x_train, x_val, x_test = [(x - mu) / sd for x in (x_train, x_val, x_test)]

    model = Model(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 25, 128), nn.ReLU(), nn.Linear(128, len(NAMES)),
    ).compile(optimizer=lambda p: torch.optim.Adam(p, lr=2e-3), loss=nn.CrossEntropyLoss())
    model.fit(x_train, y_train, batch_size=32, epochs=25, validation_data=(x_val, y_val),
              callbacks=[EarlyStopping(monitor="loss", patience=5)])
    print("test loss %.4f - test accuracy %.4f" % model.evaluate(x_test, y_test))
