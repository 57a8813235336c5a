import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn.functional import cross_entropy

# Eight compass directions, drawn as arrows.
random.seed(31)
np.random.seed(31)
torch.manual_seed(31)
torch.set_num_threads(1)

N_DIR = 8
LR, MOMENTUM = 0.05, 0.9
EPOCHS, BATCH = 5, 50


def arrow(k):
    a = 2 * math.pi * k / N_DIR + random.gauss(0, 0.1)
    cx, cy = random.uniform(11, 17), random.uniform(11, 17)
    half, head = random.uniform(8, 10), random.uniform(6, 8)
    tip = (cx + half * math.cos(a), cy + half * math.sin(a))
    tail = (cx - half * math.cos(a), cy - half * math.sin(a))
    im = Image.new("L", (28, 28), random.randint(20, 60))
    pen = ImageDraw.Draw(im)
    ink = random.randint(150, 230)
    pen.line([tail, tip], fill=ink, width=2)
    for side in (-0.6, 0.6):
        b = a + math.pi + side
        pen.line([tip, (tip[0] + head * math.cos(b), tip[1] + head * math.sin(b))], fill=ink, width=2)
    return np.asarray(im, dtype=np.float32) + np.random.normal(0, 22, (28, 28)).astype(np.float32)


def make(n):
    y = np.random.randint(0, N_DIR, n)
    x = np.stack([arrow(k) for k in y])
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


def bn_conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def build():
    return nn.Sequential(
        bn_conv(1, 12),
        nn.MaxPool2d(2),
        bn_conv(12, 24),
        nn.MaxPool2d(2),
        bn_conv(24, 48),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, N_DIR),
    )


def make_optimizer(net):
    # one group for kernels and matrices, one for vectors (batch norm, biases)
    kernels = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": 5e-4},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM)


def predict(net, x):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(b).argmax(1) for b in x.split(200)])


x_train, y_train = make(2400)
x_test, y_test = make(600)
m, s = x_train.mean(), x_train.std()
x_train, x_test = (x_train - m) / s, (x_test - m) / s

net = build()
opt = make_optimizer(net)
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(y_train))
    total = 0.0
    for i in range(0, len(order), BATCH):
        pick = order[i:i + BATCH]
        opt.zero_grad()
        loss = cross_entropy(net(x_train[pick]), y_train[pick])
        loss.backward()
        opt.step()
        total += float(loss) * len(pick)
    print(f"epoch {epoch + 1}: {total / len(order):.4f}")

print(f"accuracy: {(predict(net, x_test) == y_test).float().mean().item():.3f}")
