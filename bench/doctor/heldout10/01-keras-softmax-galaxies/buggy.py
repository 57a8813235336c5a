"""Galaxy morphology classifier.

Ported from our 2019 Keras notebook to torch. I kept the small Keras-looking
layer wrappers so the architecture below reads the same as in the paper.
"""
import math
import time

import numpy as np
import torch
from torch import nn

np.random.seed(7)
torch.manual_seed(7)

CLASSES = ["elliptical", "spiral_cw", "spiral_ccw", "barred", "edge_on", "ring", "merger", "irregular"]
SIDE = 32


# ---------------------------------------------------------------- simulator
def render(kind, rng):
    ax = np.linspace(-1.0, 1.0, SIDE)
    xx, yy = np.meshgrid(ax, ax)
    xx = xx - rng.uniform(-0.15, 0.15)
    yy = yy - rng.uniform(-0.15, 0.15)
    phi = rng.uniform(0, math.pi)
    u = xx * math.cos(phi) + yy * math.sin(phi)
    v = -xx * math.sin(phi) + yy * math.cos(phi)
    r = np.hypot(u, v) + 1e-6
    theta = np.arctan2(v, u)
    s = rng.uniform(0.8, 1.2)
    core = np.exp(-(r / (0.14 * s)) ** 2)
    if kind == 0:
        img = np.exp(-np.hypot(u, v / rng.uniform(0.6, 0.9)) / (0.25 * s))
    elif kind in (1, 2):
        sign = 1 if kind == 1 else -1
        arms = 0.5 + 0.5 * np.cos(2 * (theta + sign * 3.2 * np.log(r + 0.1)))
        img = core + 0.9 * arms ** 2 * np.exp(-(r / (0.6 * s)) ** 2)
    elif kind == 3:
        bar = np.exp(-(u / (0.38 * s)) ** 4 - (v / 0.08) ** 2)
        img = bar + 0.35 * np.exp(-(r / (0.55 * s)) ** 2)
    elif kind == 4:
        img = np.exp(-np.abs(u) / (0.4 * s)) * np.exp(-(v / 0.07) ** 2)
    elif kind == 5:
        img = 0.7 * core + 0.8 * np.exp(-((r - 0.5 * s) / 0.09) ** 2)
    elif kind == 6:
        d = 0.3 * s
        img = np.exp(-np.hypot(u - d, v) / 0.12) + 0.8 * np.exp(-np.hypot(u + d, v) / 0.12)
    else:
        img = np.zeros_like(r)
        for _ in range(7):
            a, b = rng.uniform(-0.5, 0.5, 2)
            img += rng.uniform(0.3, 0.8) * np.exp(-((u - a) ** 2 + (v - b) ** 2) / 0.012)
    img = img * rng.uniform(0.7, 1.2) + rng.normal(0, 0.12, img.shape)
    return img.astype("float32")


def load_data(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(CLASSES))
    x = np.stack([render(k, rng) for k in y])[..., None]      # channels last, as in the FITS cubes
    return x, y.astype("int64")


# ---------------------------------------------------------------- keras-ish layers
class Dense(nn.Module):
    _acts = {"relu": torch.relu, "softmax": lambda t: torch.softmax(t, dim=-1), "linear": lambda t: t}

    def __init__(self, n_in, units, activation="linear"):
        super().__init__()
        self.kernel = nn.Linear(n_in, units)
        self.activation = self._acts[activation]

    def forward(self, t):
        return self.activation(self.kernel(t))


class Conv2D(nn.Module):
    def __init__(self, n_in, filters, strides=1):
        super().__init__()
        self.conv = nn.Conv2d(n_in, filters, 3, stride=strides, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, t):
        return torch.relu(self.norm(self.conv(t)))


class Model:
    """Just enough of keras.Model."""

    def __init__(self, *layers):
        self.net = nn.Sequential(*layers)

    def parameters(self):
        return self.net.parameters()

    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer, loss

    def fit(self, x, y, batch_size=32, epochs=1, validation_data=None):
        n = len(x)
        for ep in range(1, epochs + 1):
            self.net.train()
            t0, running = time.time(), 0.0
            order = torch.randperm(n)
            for start in range(0, n - batch_size + 1, batch_size):
                sel = order[start:start + batch_size]
                out = self.net(x[sel])
                err = self.loss(out, y[sel])
                self.optimizer.zero_grad()
                err.backward()
                self.optimizer.step()
                running += err.item()
            msg = f"Epoch {ep}/{epochs} - {time.time() - t0:.1f}s - loss: {running / (n // batch_size):.4f}"
            if validation_data is not None:
                vl, va = self.evaluate(*validation_data)
                msg += f" - val_loss: {vl:.4f} - val_accuracy: {va:.4f}"
            print(msg)

    @torch.no_grad()
    def evaluate(self, x, y):
        self.net.eval()
        out = self.net(x)
        return self.loss(out, y).item(), (out.argmax(-1) == y).float().mean().item()


x_train, y_train = load_data(1536, seed=1)
x_val, y_val = load_data(400, seed=2)
mu, sd = x_train.mean(), x_train.std()


def to_torch(x, y):
    # NHWC -> NCHW
    return torch.from_numpy((x - mu) / sd).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)


model = Model(
    Conv2D(1, 16, strides=2),
    Conv2D(16, 32, strides=2),
    Conv2D(32, 32, strides=2),
    Conv2D(32, 48),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    Dense(48 * 4, 64, activation="relu"),
    Dense(64, len(CLASSES), activation="softmax"),
)
model.compile(
    optimizer=torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9),
    loss=nn.CrossEntropyLoss(),            # sparse_categorical_crossentropy in the original
)
model.fit(*to_torch(x_train, y_train), batch_size=64, epochs=5, validation_data=to_torch(x_val, y_val))
_, acc = model.evaluate(*to_torch(x_val, y_val))
print(f"final validation accuracy: {acc:.4f}")
