#!/usr/bin/env python
# coding: utf-8

# # Pressure gauges: is the needle in the alarm zone?
# Export of gauge.ipynb

# In[1]:

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

torch.manual_seed(1234)
rng = np.random.default_rng(1234)
H = W = 32


# In[2]: draw the dials

def dial(alarm):
    # scale runs clockwise from 225 deg (empty) to -45 deg (full); alarm above 62 %
    frac = rng.uniform(0.65, 1.0) if alarm else rng.uniform(0.0, 0.59)
    theta = np.deg2rad(225 - 270 * frac)
    face = int(rng.integers(170, 245))
    im = Image.new("L", (64, 64), int(rng.integers(60, 120)))
    d = ImageDraw.Draw(im)
    ox, oy = 32 + rng.uniform(-3, 3), 32 + rng.uniform(-3, 3)
    d.ellipse([ox - 27, oy - 27, ox + 27, oy + 27], fill=face, outline=20, width=2)
    length = rng.uniform(18, 24)
    d.line([ox, oy, ox + length * np.cos(theta), oy - length * np.sin(theta)], fill=int(rng.integers(0, 60)), width=4)
    d.ellipse([ox - 3, oy - 3, ox + 3, oy + 3], fill=30)
    a = np.asarray(im.resize((W, H), Image.BILINEAR), dtype=np.float32) / 255
    return a + rng.normal(0, 0.04, a.shape).astype(np.float32)


def dials(n):
    y = rng.permutation(np.arange(n) % 2)
    x = np.stack([dial(bool(k)) for k in y])[:, None]
    return torch.as_tensor(x), torch.as_tensor(y, dtype=torch.float32)[:, None]


Xtr, Ytr = dials(1200)
Xte, Yte = dials(400)
m, s = Xtr.mean(), Xtr.std()
Xtr = (Xtr - m) / s
Xte = (Xte - m) / s
Xtr.shape, Xtr.dtype, Ytr.shape, Ytr.dtype


# In[3]: CoordConv net, the answer depends on *where* the needle points

class CoordConv(nn.Module):
    def __init__(self, cin, cout, h, w, **kw):
        super().__init__()
        gy, gx = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
        self.register_buffer("grid", torch.from_numpy(np.stack([gy, gx])))
        self.conv = nn.Conv2d(cin + 2, cout, **kw)

    def forward(self, x):
        grid = self.grid.expand(x.shape[0], -1, -1, -1)
        return self.conv(torch.cat([x, grid], dim=1))


net = nn.Sequential(
    nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 24, kernel_size=3, padding=1), nn.ReLU(),
    CoordConv(24, 32, H // 2, W // 2, kernel_size=3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(32, 32, kernel_size=3, padding=1), nn.ReLU(),
    nn.AdaptiveMaxPool2d(1), nn.Flatten(),
    nn.Linear(32, 1),
)
sum(p.numel() for p in net.parameters())


# In[4]: training

opt = torch.optim.Adam(net.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()
B = 50
for ep in range(5):
    net.train()
    perm = torch.randperm(len(Xtr))
    tot = 0.0
    for i in range(0, len(Xtr), B):
        j = perm[i:i + B]
        opt.zero_grad()
        l = bce(net(Xtr[j]), Ytr[j])
        l.backward()
        opt.step()
        tot += l.item() * len(j)
    print("epoch", ep, "bce", round(tot / len(Xtr), 4))


# In[5]: held-out dials

net.eval()
with torch.no_grad():
    hit = ((net(Xte) > 0).float() == Yte).float().mean()
print("accuracy", hit.item())
