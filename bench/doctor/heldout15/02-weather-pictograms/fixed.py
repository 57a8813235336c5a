# Weather pictograms from a public-transport display, read by a small network.
# The architecture is written as a string, in the notation of the old MNIST papers:
#   24C3  = convolution with 24 maps, 3x3      P2 = max pooling 2x2
#   96N   = fully connected layer, 96 units
import random
import re

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn, optim

ARCH = "16C3-P2-32C3-P2-48C3-P2-64N-7N"
ICONS = ["sun", "cloud", "rain", "snow", "storm", "fog", "moon"]
PX = 26
BATCH = 50
EPOCHS = 8


def seed_all(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


def cloud(d, x, y, s, ink):
    for dx, dy, r in ((-.55, .1, .38), (0, -.15, .5), (.55, .12, .36)):
        d.ellipse([x + (dx - r) * s, y + (dy - r) * s, x + (dx + r) * s, y + (dy + r) * s], fill=ink)
    d.rectangle([x - .55 * s, y + .1 * s, x + .55 * s, y + .48 * s], fill=ink)


def pictogram(kind):
    k = 3                                             # drawn large, then reduced
    ground, ink = random.randint(0, 90), random.randint(130, 255)
    im = Image.new("L", (PX * k, PX * k), ground)
    d = ImageDraw.Draw(im)
    x, y = (PX * k / 2 + random.uniform(-4, 4) * k for _ in range(2))
    s = random.uniform(6, 9) * k
    w = random.choice([3, 4, 5])
    if kind == "sun":
        d.ellipse([x - s * .5, y - s * .5, x + s * .5, y + s * .5], fill=ink)
        start = random.random()
        for a in np.arange(8) * np.pi / 4 + start:
            d.line([x + np.cos(a) * s * .7, y + np.sin(a) * s * .7,
                    x + np.cos(a) * s * 1.1, y + np.sin(a) * s * 1.1], fill=ink, width=w)
    elif kind == "moon":
        d.ellipse([x - s * .8, y - s * .8, x + s * .8, y + s * .8], fill=ink)
        o = s * random.uniform(.3, .6)
        d.ellipse([x - s * .8 + o, y - s * .9, x + s * .8 + o, y + s * .6], fill=ground)
    elif kind == "fog":
        for j in range(4):
            yy, e = y + (j - 1.5) * s * .5, random.uniform(.7, 1) * s
            d.line([x - e, yy, x + e, yy], fill=ink, width=w)
    else:
        cloud(d, x, y - (0 if kind == "cloud" else s * .35), s, ink)
        if kind == "rain":
            for j in (-.5, 0, .5):
                d.line([x + j * s, y + .35 * s, x + j * s - .2 * s, y + .95 * s], fill=ink, width=w)
        elif kind == "snow":
            for j in (-.5, 0, .5):
                c = y + random.uniform(.45, .85) * s
                d.ellipse([x + j * s - w, c - w, x + j * s + w, c + w], fill=ink)
        elif kind == "storm":
            d.line([x + .2 * s, y + .1 * s, x - .2 * s, y + .55 * s, x + .2 * s, y + .55 * s,
                    x - .1 * s, y + 1.1 * s], fill=ink, width=w)
    im = im.filter(ImageFilter.GaussianBlur(random.uniform(.5, 3))).resize((PX, PX), Image.BILINEAR)
    return np.asarray(im, np.float32) / 255 + np.random.normal(0, .11, (PX, PX))


def build(arch, channels, side):
    layers, tokens, flat = [], arch.split("-"), False
    for i, token in enumerate(tokens):
        if m := re.fullmatch(r"(\d+)C(\d+)", token):
            maps, kernel = map(int, m.groups())
            layers += [nn.Conv2d(channels, maps, kernel, padding=kernel // 2), nn.ReLU()]
            channels = maps
        elif m := re.fullmatch(r"P(\d+)", token):
            layers.append(nn.MaxPool2d(int(m[1])))
            side //= int(m[1])
        elif m := re.fullmatch(r"(\d+)N", token):
            if not flat:
                layers.append(nn.Flatten())
                channels, flat = channels * side * side, True
            layers.append(nn.Linear(channels, int(m[1])))
            if i < len(tokens) - 1:
                layers.append(nn.ReLU())
            channels = int(m[1])
        else:
            raise ValueError(f"unknown layer {token!r} in {arch!r}")
    return nn.Sequential(*layers)


def batches(x, y, shuffle):
    order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    for idx in order.split(BATCH):
        yield x[idx], y[idx]


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        right = sum(int((net(bx).argmax(1) == by).sum()) for bx, by in batches(x, y, False))
    return right / len(y)


seed_all(5)
torch.set_num_threads(1)
labels = np.random.randint(0, len(ICONS), 2450)
pixels = np.stack([pictogram(ICONS[c]) for c in labels]).astype(np.float32)[:, None]
x, y = torch.from_numpy(pixels), torch.from_numpy(labels).long()
x_train, x_val, x_test = x[:1650], x[1650:1950], x[1950:]
y_train, y_val, y_test = y[:1650], y[1650:1950], y[1950:]
mu, sigma = x_train.mean(), x_train.std()
x_train, x_val, x_test = (x_train - mu) / sigma, (x_val - mu) / sigma, (x_test - mu) / sigma

net = build(ARCH, 1, PX)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for epoch in range(EPOCHS):
    net.train()
    total = 0.
    for bx, by in batches(x_train, y_train, True):
        optimizer.zero_grad()
        loss = criterion(net(bx), by)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(by)
    scheduler.step()
    print("epoch %d | loss %.3f | val acc %.3f" % (epoch + 1, total / len(y_train), accuracy(net, x_val, y_val)))
print("test acc", round(accuracy(net, x_test, y_test), 4))
