# Which way does the arrow point? 8 directions, 32x32 RGB.
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(8)
rng = np.random.default_rng(3)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

N_TRAIN, N_TEST, BATCH, EPOCHS = 1600, 480, 32, 5


def arrow(k):
    bg = tuple(int(v) for v in rng.integers(0, 110, 3))
    fg = tuple(int(v) for v in rng.integers(140, 256, 3))
    im = Image.new("RGB", (64, 64), bg)
    d = ImageDraw.Draw(im)
    a = k * math.pi / 4 + rng.uniform(-0.25, 0.25)
    cx, cy = rng.uniform(26, 38, 2)
    r = rng.uniform(14, 22)
    ux, uy = math.cos(a), math.sin(a)
    tip = (cx + r * ux, cy + r * uy)
    tail = (cx - r * ux, cy - r * uy)
    d.line((tail, tip), fill=fg, width=int(rng.integers(3, 7)))
    w = rng.uniform(7, 11)
    base = (tip[0] - 0.8 * r * ux, tip[1] - 0.8 * r * uy)
    d.polygon([tip, (base[0] - w * uy, base[1] + w * ux), (base[0] + w * uy, base[1] - w * ux)], fill=fg)
    im = im.resize((32, 32), Image.BILINEAR)
    x = np.asarray(im, dtype=np.float32) / 255
    return x + rng.normal(0, 0.06, x.shape).astype(np.float32)


def collect(n):
    y = rng.integers(0, 8, n)
    x = np.stack([arrow(int(k)) for k in y]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(x)).to(device), torch.from_numpy(y).to(device)


def fully_connected(sizes):
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def conv(n_in, n_out):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


x_train, y_train = collect(N_TRAIN)
x_test, y_test = collect(N_TEST)
mean = x_train.mean((0, 2, 3), keepdim=True)
std = x_train.std((0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = nn.Sequential(
    conv(3, 12), conv(12, 24), conv(24, 32), nn.Flatten(),
    fully_connected([32 * 4 * 4, 96, 8]),
).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)

for epoch in range(EPOCHS):
    if epoch == EPOCHS - 2:
        for group in optimizer.param_groups:
            group["lr"] *= 0.1
    model.train()
    running = 0.0
    order = torch.randperm(N_TRAIN, device=device)
    for idx in order.split(BATCH):
        loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    print("epoch", epoch, "loss", round(running / N_TRAIN, 4))

model.eval()
with torch.no_grad():
    pred = torch.cat([model(b).argmax(1) for b in x_test.split(160)])
print("accuracy: %.3f" % (pred == y_test).float().mean().item())
