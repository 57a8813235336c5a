"""Emblem classifier with a small Keras-like wrapper around a residual network."""
import math
import time

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

torch.set_num_threads(1)
CLASSES = ["star", "shield", "cross", "crescent", "chevron", "ring"]
SIDE = 28


# ----------------------------------------------------------------------------
# layers
# ----------------------------------------------------------------------------
def conv(cin, cout, k, stride=1):
    return nn.Conv2d(cin, cout, k, stride=stride, padding=k // 2, bias=False)


class Residual(nn.Module):
    """Basic block: conv-bn-relu-conv-bn plus shortcut."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = conv(cin, cout, 3, stride), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = conv(cout, cout, 3), nn.BatchNorm2d(cout)
        self.relu = nn.ReLU()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(conv(cin, cout, 1, stride), nn.BatchNorm2d(cout))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(self.shortcut(x) + y)


class ResNet(nn.Module):
    def __init__(self, n_classes, widths=(16, 32, 48)):
        super().__init__()
        self.stem = nn.Sequential(conv(1, widths[0], 3), nn.BatchNorm2d(widths[0]), nn.ReLU())
        blocks, cin = [], widths[0]
        for w in widths:
            blocks.append(Residual(cin, w, stride=2))
            cin = w
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(cin * (SIDE // 8 + 1) ** 2, n_classes)
        self.reset_parameters()

    def reset_parameters(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        # start with every block close to its shortcut (Goyal et al., 2017)
        for m in self.modules():
            if isinstance(m, Residual):
                nn.init.zeros_(m.bn2.weight)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).flatten(1))


# ----------------------------------------------------------------------------
# wrapper
# ----------------------------------------------------------------------------
class Model:
    def __init__(self, net):
        self.net = net

    def compile(self, optimizer, loss, schedule):
        self.optimizer, self.loss, self.schedule = optimizer, loss, schedule
        return self

    def fit(self, x, y, batch_size, epochs, validation_data):
        best, n = -1.0, len(x) // batch_size * batch_size
        for epoch in range(epochs):
            t0, total = time.time(), 0.0
            self.net.train()
            for idx in torch.randperm(len(x))[:n].split(batch_size):
                loss = self.loss(self.net(x[idx]), y[idx])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.schedule.step()
                total += loss.item() * len(idx)
            acc = self.evaluate(*validation_data)
            print(f"Epoch {epoch + 1}/{epochs} - {time.time() - t0:.1f}s"
                  f" - loss: {total / n:.4f} - val_accuracy: {acc:.4f}")
            if acc > best:
                best = acc
                weights = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(weights)

    def predict(self, x, batch_size=100):
        self.net.eval()
        with torch.no_grad():
            return torch.cat([self.net(b) for b in x.split(batch_size)])

    def evaluate(self, x, y):
        return (self.predict(x).argmax(1) == y).float().mean().item()


# ----------------------------------------------------------------------------
# data: emblems drawn at four times the size, then reduced
# ----------------------------------------------------------------------------
def emblem(rng, kind):
    big = SIDE * 4
    bg = rng.uniform(0.05, 0.4)
    fg = bg + rng.uniform(0.3, 0.55)
    im = Image.new("L", (big, big), int(255 * bg))
    d, ink = ImageDraw.Draw(im), int(255 * fg)
    r = rng.uniform(26, 40)
    turn = rng.uniform(-0.35, 0.35)
    c = big / 2 + rng.uniform(-11, 11, 2)

    def poly(points):
        p = np.array(points) * r
        rot = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        d.polygon([tuple(q) for q in p @ rot + c], fill=ink)

    def disc(radius, fill, dx=0.0):
        ox, oy = c[0] + dx * np.cos(turn), c[1] + dx * np.sin(turn)
        d.ellipse([ox - radius, oy - radius, ox + radius, oy + radius], fill=fill)

    if kind == 0:
        a = np.arange(10) * np.pi / 5 - np.pi / 2
        rad = np.where(np.arange(10) % 2, 0.45, 1.0)
        poly(np.stack([rad * np.cos(a), rad * np.sin(a)], 1))
    elif kind == 1:
        poly([(-.8, -.9), (.8, -.9), (.8, .1), (0, 1), (-.8, .1)])
    elif kind == 2:
        poly([(-.3, -1), (.3, -1), (.3, -.3), (1, -.3), (1, .3), (.3, .3),
              (.3, 1), (-.3, 1), (-.3, .3), (-1, .3), (-1, -.3), (-.3, -.3)])
    elif kind == 3:
        disc(r, ink)
        disc(0.8 * r, int(255 * bg), dx=0.45 * r)
    elif kind == 4:
        poly([(-1, .2), (0, -.8), (1, .2), (1, .8), (0, -.2), (-1, .8)])
    else:
        disc(r, ink)
        disc(0.6 * r, int(255 * bg))
    arr = np.asarray(im.resize((SIDE, SIDE), Image.BOX), dtype=np.float32) / 255
    return arr + rng.normal(0, 0.12, arr.shape)


def make_set(rng, n):
    y = rng.permutation(np.arange(n) % len(CLASSES))
    x = np.stack([emblem(rng, k) for k in y])[:, None].astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


if __name__ == "__main__":
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = (make_set(rng, n) for n in (1350, 300, 480))
    mean, std = x_train.mean(), x_train.std()
    x_train, x_val, x_test = ((x - mean) / std for x in (x_train, x_val, x_test))

    net = ResNet(len(CLASSES))
    decay = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    sgd = torch.optim.SGD([{"params": decay, "weight_decay": 5e-4},
                           {"params": plain, "weight_decay": 0.0}], lr=0.05, momentum=0.9)
    steps = 8 * (1350 // 45)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        sgd, lambda s: min((s + 1) / 20, 0.5 * (1 + math.cos(math.pi * s / steps))))

    model = Model(net).compile(sgd, nn.CrossEntropyLoss(), schedule)
    model.fit(x_train, y_train, batch_size=45, epochs=8, validation_data=(x_val, y_val))
    print(f"test accuracy: {model.evaluate(x_test, y_test):.4f}")
