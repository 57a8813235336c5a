#!/usr/bin/env python
# coding: utf-8

# # Garden feeder: who visits?
# Frames cut from short motion-triggered clips (12 frames each). Four visitors.

# In[1]:

import numpy as np
import torch
from torch import nn
from PIL import Image, ImageDraw

torch.manual_seed(0)
rng = np.random.default_rng(2024)
VISITORS = ["tit", "magpie", "squirrel", "hedgehog"]
W = 32


# In[2]:

def clip_frames(kind, n=12):
    """Render one clip: fixed background, one animal, the animal moves a little."""
    meadow = rng.integers(60, 150, (4, 4, 3)) + np.array([0, 30, -20])
    coarse = Image.fromarray(meadow.astype(np.uint8))
    back = coarse.resize((64, 64), Image.BICUBIC)
    body = tuple(int(c) for c in rng.integers(15, 120, 3))
    extra = tuple(int(c) for c in rng.integers(150, 250, 3))
    x, y = rng.uniform(24, 40, 2)
    s, side = rng.uniform(0.7, 1.1), rng.choice([-1, 1])
    out = []
    for _ in range(n):
        x, y = x + rng.normal(0, 0.7), y + rng.normal(0, 0.5)
        im = back.copy()
        d = ImageDraw.Draw(im)

        def blob(cx, cy, rx, ry, col):
            cx, cy, rx, ry = x + side * s * cx, y + s * cy, s * rx, s * ry
            d.ellipse([cx - rx, cy - ry, cx + rx, cy + ry], fill=col)

        def tri(pts, col):
            d.polygon([(x + side * s * a, y + s * b) for a, b in pts], fill=col)

        if kind == "tit":
            blob(0, 0, 11, 9, body); blob(10, -8, 6, 6, extra); tri([(15, -9), (20, -7), (15, -6)], (30, 30, 30))
            tri([(-8, -3), (-17, -1), (-8, 3)], extra)
        elif kind == "magpie":
            blob(0, 0, 12, 8, body); blob(11, -8, 6, 6, body); tri([(16, -9), (23, -7), (16, -5)], (30, 30, 30))
            tri([(-7, -4), (-30, 4), (-29, 8), (-7, 4)], extra)
        elif kind == "squirrel":
            blob(0, 2, 9, 12, body); blob(6, -12, 6, 6, body); tri([(4, -16), (5, -22), (9, -17)], body)
            blob(-13, -4, 6, 14, extra)
        else:
            for a in range(-14, 15, 4):
                tri([(a, -8), (a + 1, -15), (a + 4, -8)], extra)
            blob(0, 0, 16, 10, body); tri([(13, -4), (22, 3), (13, 6)], extra)
        a = np.asarray(im.resize((W, W), Image.BILINEAR), np.float32)
        out.append((a + rng.normal(0, 5, a.shape)).clip(0, 255).astype(np.uint8))
    return out


names, frames, labels = [], [], []
for c in range(80):
    k = c % 4
    for f, img in enumerate(clip_frames(VISITORS[k])):
        names.append(f"feeder_c{c:03d}_f{f:02d}")
        frames.append(img)
        labels.append(k)
frames, labels = np.stack(frames), np.array(labels)
print(frames.shape, names[0], "...", names[-1])


# In[3]:
# Hold out 25 % of the clips - frames of a clip must stay together.

def group_key(name):
    return name.split("_")[1]


groups = np.array([group_key(n) for n in names])
unique = np.unique(groups)
rng.shuffle(unique)
held_out = unique[: len(unique) // 4]
is_val = np.isin(groups, held_out)
print("train", (~is_val).sum(), "val", is_val.sum(), "per class", np.bincount(labels[is_val], minlength=4))


# In[4]:

def to_tensor(a):
    return torch.from_numpy(a).permute(0, 3, 1, 2).float() / 255


x_tr, y_tr = to_tensor(frames[~is_val]), torch.from_numpy(labels[~is_val])
x_va, y_va = to_tensor(frames[is_val]), torch.from_numpy(labels[is_val])
mu, sd = x_tr.mean((0, 2, 3), keepdim=True), x_tr.std((0, 2, 3), keepdim=True)
x_tr, x_va = (x_tr - mu) / sd, (x_va - mu) / sd


# In[5]:

class Mix(nn.Module):
    """1x1, 3x3 and 5x5 branches side by side."""

    def __init__(self, cin, c):
        super().__init__()
        self.a = nn.Conv2d(cin, c, 1)
        self.b = nn.Conv2d(cin, c, 3, padding=1)
        self.c = nn.Conv2d(cin, c, 5, padding=2)

    def forward(self, t):
        return torch.cat([self.a(t), self.b(t), self.c(t)], 1).relu()


net = nn.Sequential(
    nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    Mix(12, 8), nn.MaxPool2d(2),
    Mix(24, 12), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(36 * 16, 4))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
ce = nn.CrossEntropyLoss()


# In[6]:

for epoch in range(9):
    net.train()
    perm = torch.randperm(len(x_tr))
    tot = 0.0
    for idx in perm.split(48):
        xb, yb = x_tr[idx], y_tr[idx]
        flip = torch.rand(len(xb)) < 0.5
        xb[flip] = xb[flip].flip(3)
        opt.zero_grad()
        loss = ce(net(xb), yb)
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    net.eval()
    with torch.no_grad():
        acc = (net(x_va).argmax(1) == y_va).float().mean().item()
    print(epoch, "loss", round(tot / len(x_tr), 4), "val acc", round(acc, 4))


# In[7]:

print("accuracy on held-out clips:", round(acc, 4))
