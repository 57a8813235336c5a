# Shape recognition with a cosine classifier: features and class prototypes live on the unit sphere.
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

SHAPES = ["disc", "square", "triangle", "cross", "ring", "bar"]
SIZE = 24
TAU = 0.2


def draw(kind, rng):
    bg, fg = rng.randint(20, 90), rng.randint(150, 240)
    im = Image.new("L", (SIZE, SIZE), bg)
    d = ImageDraw.Draw(im)
    cx, cy, r = rng.randint(9, 14), rng.randint(9, 14), rng.randint(5, 8)
    box = (cx - r, cy - r, cx + r, cy + r)
    if kind == "disc":
        d.ellipse(box, fill=fg)
    elif kind == "square":
        d.rectangle(box, fill=fg)
    elif kind == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
    elif kind == "cross":
        d.line((cx - r, cy, cx + r, cy), fill=fg, width=3)
        d.line((cx, cy - r, cx, cy + r), fill=fg, width=3)
    elif kind == "ring":
        d.ellipse(box, outline=fg, width=2)
    else:
        d.rectangle((cx - r, cy - 2, cx + r, cy + 2), fill=fg)
    return np.asarray(im, dtype=np.float32)


def make_set(n, seed):
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    labels = [i % len(SHAPES) for i in range(n)]
    rng.shuffle(labels)
    images = np.stack([draw(SHAPES[k], rng) for k in labels])
    images = (images + noise.normal(0, 25, images.shape)).clip(0, 255) / 255
    return torch.from_numpy(images).float().unsqueeze(1), torch.tensor(labels)


class CosineHead(nn.Module):
    """Cosine similarity to one prototype per class, sharpened by a learnable scale."""

    def __init__(self, dim, classes, tau=TAU):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(classes, dim))
        # kept in the log domain so that the scale stays positive
        self.log_scale = nn.Parameter(torch.tensor(1 / tau))

    def forward(self, f):
        cos = F.linear(F.normalize(f, dim=1), F.normalize(self.prototypes, dim=1))
        return self.log_scale.exp() * cos


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.b3 = nn.BatchNorm2d(64)
        self.embed = nn.Linear(64, 64)
        self.head = CosineHead(64, len(SHAPES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        x = F.relu(self.b3(self.c3(x)))
        return self.head(self.embed(x.mean(dim=(2, 3))))


torch.manual_seed(11)
xtr, ytr = make_set(1200, 1)
xte, yte = make_set(300, 2)
mu, sigma = xtr.mean(), xtr.std()
xtr, xte = (xtr - mu) / sigma, (xte - mu) / sigma

net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
EPOCHS, BATCH = 4, 40
for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for idx in torch.randperm(len(xtr)).split(BATCH):
        loss = F.cross_entropy(net(xtr[idx]), ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        running += loss.item() * len(idx)
    print(f"epoch {epoch}  loss {running / len(xtr):.4f}  scale {net.head.log_scale.exp().item():.2f}")

net.eval()
with torch.no_grad():
    acc = (net(xte).argmax(1) == yte).float().mean().item()
print(f"accuracy: {acc:.3f}")
