"""Hand-gesture icons: a tiny Keras-flavoured wrapper around a torch CNN."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

CLASSES = ["thumb_up", "thumb_down", "swipe_up", "swipe_down", "point", "palm"]
SIZE = 24


# ------------------------------------------------------------------ pictures
def draw_gesture(kind, rng):
    s = SIZE * 2
    back = tuple(int(v) for v in rng.integers(20, 110, 3))
    skin = tuple(int(v) for v in rng.integers(130, 230, 3))
    im = Image.new("RGB", (s, s), back)
    d = ImageDraw.Draw(im)
    for _ in range(rng.integers(1, 4)):                       # clutter
        x, y = rng.integers(0, s, 2)
        r = rng.integers(2, 5)
        d.ellipse([x - r, y - r, x + r, y + r], fill=tuple(int(v) for v in rng.integers(40, 180, 3)))
    cx, cy = s / 2 + rng.uniform(-5, 5), s / 2 + rng.uniform(-4, 4)
    tilt = rng.normal(0, 0.15)
    side = rng.choice([-1, 1])                                # left or right hand

    def limb(angle, length, width):
        a = angle + tilt
        d.line([cx, cy, cx + length * math.cos(a), cy + length * math.sin(a)], fill=skin, width=width)

    r = rng.uniform(7, 9)
    if kind.startswith("thumb"):
        up = -1 if kind == "thumb_up" else 1
        limb(0 if side > 0 else math.pi, 26, 7)
        limb(up * math.pi / 2, rng.uniform(14, 18), 5)
        d.ellipse([cx - r, cy - r * .8, cx + r, cy + r * .8], fill=skin)
    elif kind.startswith("swipe"):
        up = -1 if kind == "swipe_up" else 1
        length = rng.uniform(13, 17)
        limb(up * math.pi / 2, length, 4)
        limb(-up * math.pi / 2, length, 4)
        tx, ty = cx + length * math.cos(up * math.pi / 2 + tilt), cy + length * math.sin(up * math.pi / 2 + tilt)
        for k in (-1, 1):
            a = -up * math.pi / 2 + tilt + k * 0.7
            d.line([tx, ty, tx + 9 * math.cos(a), ty + 9 * math.sin(a)], fill=skin, width=4)
    elif kind == "point":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=skin)
        limb(0 if side > 0 else math.pi, rng.uniform(16, 20), 4)
    else:
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=skin)
        for k in range(5):
            limb(-math.pi / 2 + side * (k - 1.8) * 0.42, rng.uniform(13, 17), 3)
    a = np.asarray(im.resize((SIZE, SIZE), Image.BILINEAR), dtype=np.float32) / 255
    return np.clip(a + rng.normal(0, 0.08, a.shape), 0, 1).astype(np.float32)


def make_set(per_class, seed):
    rng = np.random.default_rng(seed)
    x = np.stack([draw_gesture(c, rng) for c in CLASSES for _ in range(per_class)])
    y = np.repeat(np.arange(len(CLASSES)), per_class)
    return x.transpose(0, 3, 1, 2).copy(), y


# -------------------------------------------------------------- augmentation
class HandAugmenter:
    """Works on whole batches; people use either hand."""

    def __init__(self, mirror=0.5, shift=2, gain=0.15, seed=0):
        self.mirror, self.shift, self.gain = mirror, shift, gain
        self.rng = np.random.default_rng(seed)

    def __call__(self, x):
        x = x.copy()
        n = len(x)
        pick = self.rng.random(n) < self.mirror
        x[pick] = np.flip(x[pick], axis=2)
        p = self.shift
        wide = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="edge")
        for i, (dy, dx) in enumerate(self.rng.integers(0, 2 * p + 1, (n, 2))):
            x[i] = wide[i, :, dy:dy + SIZE, dx:dx + SIZE]
        return x * self.rng.uniform(1 - self.gain, 1 + self.gain, (n, 1, 1, 1)).astype(np.float32)


# --------------------------------------------------------------------- model
class Model:
    def __init__(self, net):
        self.net = net

    def compile(self, lr):
        self.opt = torch.optim.Adam(self.net.parameters(), lr=lr)

    def fit(self, x, y, epochs, batch_size, validation_data, augment=None, seed=0):
        rng = np.random.default_rng(seed)
        self.mean = x.mean(axis=(0, 2, 3), keepdims=True)
        self.std = x.std(axis=(0, 2, 3), keepdims=True)
        steps = len(x) // batch_size
        sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, max_lr=4e-3, total_steps=epochs * steps)
        for epoch in range(1, epochs + 1):
            self.net.train()
            order, total = rng.permutation(len(x)), 0.0
            for s in range(steps):
                idx = order[s * batch_size:(s + 1) * batch_size]
                xb = augment(x[idx]) if augment is not None else x[idx]
                loss = F.cross_entropy(self.net(self._prep(xb)), torch.from_numpy(y[idx]))
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                sched.step()
                total += loss.item()
            print(f"epoch {epoch:2d}  loss {total / steps:.3f}  val_acc {self.evaluate(*validation_data):.3f}")

    @torch.no_grad()
    def evaluate(self, x, y):
        self.net.eval()
        pred = np.concatenate([self.net(self._prep(x[i:i + 200])).argmax(1).numpy() for i in range(0, len(x), 200)])
        return float((pred == y).mean())

    def _prep(self, x):
        return torch.from_numpy(((x - self.mean) / self.std).astype(np.float32))


def block(i, o):
    return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]


if __name__ == "__main__":
    torch.manual_seed(3)
    x_train, y_train = make_set(250, seed=10)
    x_val, y_val = make_set(60, seed=11)
    x_test, y_test = make_set(100, seed=12)
    model = Model(nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 48), nn.Flatten(),
                                nn.Dropout(0.2), nn.Linear(48 * 9, len(CLASSES))))
    model.compile(lr=4e-3)
    model.fit(x_train, y_train, epochs=10, batch_size=50, validation_data=(x_val, y_val),
              augment=HandAugmenter(seed=5))
    print(f"test accuracy {model.evaluate(x_test, y_test):.3f}")
