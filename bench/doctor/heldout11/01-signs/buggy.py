"""Traffic-sign classifier on a small Keras-flavoured layer on top of PyTorch."""
import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

SIGNS = ["stop", "no_entry", "speed", "yield", "warning", "priority", "left", "right"]
SIZE, SS = 24, 4


def ngon(cx, cy, r, n, phase):
    return [(cx + r * math.cos(phase + 2 * math.pi * k / n), cy + r * math.sin(phase + 2 * math.pi * k / n))
            for k in range(n)]


def paint_sign(label, rng):
    name = SIGNS[label]
    sky = tuple(int(v) for v in rng.integers(60, 190, 3))
    img = Image.new("RGB", (SIZE * SS, SIZE * SS), sky)
    d = ImageDraw.Draw(img)
    for _ in range(4):  # street clutter
        x, y, w, h = rng.uniform(0, SIZE * SS, 4)
        d.rectangle([x, y, x + w / 3, y + h / 3], fill=tuple(int(v) for v in rng.integers(30, 220, 3)))
    c = SIZE * SS / 2
    cx, cy = c + rng.uniform(-12, 12, 2)
    r = rng.uniform(24, 38)
    tilt = rng.normal(0, 0.12)
    red, blue, white, yellow = (190, 30, 40), (30, 70, 180), (230, 230, 225), (230, 190, 40)
    disc = [cx - r, cy - r, cx + r, cy + r]
    if name == "stop":
        d.polygon(ngon(cx, cy, r, 8, math.pi / 8 + tilt), fill=red)
        d.rectangle([cx - r * .6, cy - r * .2, cx + r * .6, cy + r * .2], fill=white)
    elif name == "no_entry":
        d.ellipse(disc, fill=red)
        d.rectangle([cx - r * .6, cy - r * .2, cx + r * .6, cy + r * .2], fill=white)
    elif name == "speed":
        d.ellipse(disc, fill=red)
        d.ellipse([cx - r * .7, cy - r * .7, cx + r * .7, cy + r * .7], fill=white)
        d.rectangle([cx - r * .3, cy - r * .3, cx - r * .1, cy + r * .3], fill=(20, 20, 20))
        d.ellipse([cx, cy - r * .3, cx + r * .4, cy + r * .3], outline=(20, 20, 20), width=4)
    elif name in ("yield", "warning"):
        up = -math.pi / 2 if name == "warning" else math.pi / 2
        d.polygon(ngon(cx, cy, r, 3, up + tilt), fill=red)
        d.polygon(ngon(cx, cy, r * .6, 3, up + tilt), fill=white)
    elif name == "priority":
        d.polygon(ngon(cx, cy, r, 4, tilt), fill=white)
        d.polygon(ngon(cx, cy, r * .7, 4, tilt), fill=yellow)
    else:
        d.ellipse(disc, fill=blue)
        s = -1 if name == "left" else 1
        d.rectangle([cx - r * .5, cy - r * .12, cx + r * .5, cy + r * .12], fill=white)
        d.polygon([(cx + s * r * .75, cy), (cx + s * r * .15, cy - r * .45), (cx + s * r * .15, cy + r * .45)], fill=white)
    a = np.asarray(img.resize((SIZE, SIZE), Image.BOX), dtype=np.float32) / 255
    a = a * rng.uniform(0.5, 1.1) + rng.normal(0, 0.09, a.shape)
    return a.clip(0, 1).transpose(2, 0, 1)


def load_data(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(SIGNS), n)
    x = np.stack([paint_sign(k, rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x) - 0.5, torch.from_numpy(y)


ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=1)}
LOSSES = {"categorical_crossentropy": nn.CrossEntropyLoss, "mse": nn.MSELoss}
OPTIMIZERS = {"sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9), "adam": lambda p, lr: torch.optim.Adam(p, lr=lr)}


def Conv2D(filters, kernel_size, activation="linear"):
    def build(shape):
        c, h, w = shape
        conv = nn.Conv2d(c, filters, kernel_size, padding=kernel_size // 2)
        return [conv, ACTIVATIONS[activation]()], (filters, h, w)
    return build


def MaxPool2D(k):
    return lambda shape: ([nn.MaxPool2d(k)], (shape[0], shape[1] // k, shape[2] // k))


def Flatten():
    return lambda shape: ([nn.Flatten()], (math.prod(shape),))


def Dense(units, activation="linear"):
    return lambda shape: ([nn.Linear(shape[0], units), ACTIVATIONS[activation]()], (units,))


class Model(nn.Module):
    def __init__(self, layers, input_shape):
        super().__init__()
        mods, shape = [], input_shape
        for build in layers:
            new, shape = build(shape)
            mods += new
        self.net = nn.Sequential(*mods)

    def forward(self, x):
        return self.net(x)

    def compile_with(self, optimizer, loss, lr):
        self.loss_fn = LOSSES[loss]()
        self.opt = OPTIMIZERS[optimizer](self.parameters(), lr)

    def fit(self, x, y, epochs, batch_size, validation_data):
        for epoch in range(1, epochs + 1):
            self.train()
            total = 0.0
            for idx in torch.randperm(len(x)).split(batch_size):
                self.opt.zero_grad()
                loss = self.loss_fn(self(x[idx]), y[idx])
                loss.backward()
                self.opt.step()
                total += loss.item() * len(idx)
            val_loss, val_acc = self.evaluate(*validation_data)
            print(f"Epoch {epoch}/{epochs} - loss: {total / len(x):.4f} - val_loss: {val_loss:.4f} - val_acc: {val_acc:.4f}")

    @torch.no_grad()
    def evaluate(self, x, y):
        self.eval()
        out = self(x)
        return self.loss_fn(out, y).item(), (out.argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(7)
    x_train, y_train = load_data(2000, seed=1)
    x_val, y_val = load_data(400, seed=2)
    x_test, y_test = load_data(600, seed=3)

    model = Model([
        Conv2D(16, 3, activation="relu"),
        MaxPool2D(2),
        Conv2D(32, 3, activation="relu"),
        MaxPool2D(2),
        Conv2D(48, 3, activation="relu"),
        MaxPool2D(2),
        Flatten(),
        Dense(64, activation="relu"),
        Dense(len(SIGNS), activation="softmax"),
    ], input_shape=(3, SIZE, SIZE))
    model.compile_with(optimizer="sgd", loss="categorical_crossentropy", lr=0.03)
    model.fit(x_train, y_train, epochs=8, batch_size=32, validation_data=(x_val, y_val))
    print("test accuracy: %.4f" % model.evaluate(x_test, y_test)[1])
