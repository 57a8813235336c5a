#!/usr/bin/env python
# coding: utf-8

# # Texture recognition with bilinear pooling
#
# Seven procedural surface textures. For textures it matters which filters answer *together*, so the
# head sees the matrix of channel products (Lin et al.'s B-CNN), with signed square root and L2 norm.

# In[1]:

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(11)
rng = np.random.default_rng(11)
SIZE = 28
NAMES = ["stripes", "checks", "dots", "rings", "grain", "weave", "plain"]


# In[2]:

def texture(kind):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    a = rng.uniform(0, math.pi)
    u = xx * math.cos(a) + yy * math.sin(a) + rng.uniform(0, 20)
    v = -xx * math.sin(a) + yy * math.cos(a) + rng.uniform(0, 20)
    f = rng.uniform(0.8, 1.3)
    if kind == 0:
        t = np.sin(u * f)
    elif kind == 1:
        t = np.sign(np.sin(u * f * 0.8) * np.sin(v * f * 0.8))
    elif kind == 2:
        t = 2.0 * ((np.sin(u * f) + np.sin(v * f)) > 1.1) - 1.0
    elif kind == 3:
        cx, cy = rng.uniform(4, SIZE - 4, 2)
        t = np.sin(np.hypot(xx - cx, yy - cy) * f)
    elif kind == 4:
        t = rng.normal(size=(SIZE, SIZE))
        t = (t + np.roll(t, 1, 0) + np.roll(t, 1, 1)) / 1.7
    elif kind == 5:
        t = np.maximum(np.sin(u * f), np.sin(v * f)) * 1.3 - 0.5
    else:
        t = np.zeros_like(u) + rng.uniform(-0.4, 0.4)
    t = rng.uniform(0.5, 1.0) * t + rng.uniform(-0.3, 0.3)
    return t + rng.normal(scale=rng.uniform(0.02, 0.3), size=t.shape)


labels = rng.permutation(np.arange(1500) % len(NAMES))
images = np.stack([texture(k) for k in labels]).astype(np.float32)[:, None]
x = torch.from_numpy(images)
y = torch.from_numpy(labels).long()
x_train, y_train, x_test, y_test = x[:1200], y[:1200], x[1200:], y[1200:]
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
print(x_train.shape, y_train.bincount())


# In[3]:

class BilinearPool(nn.Module):
    """Outer product of the channels, averaged over the image."""

    def forward(self, h):
        n, c, hh, ww = h.shape
        h = h.flatten(2)
        z = torch.bmm(h, h.transpose(1, 2)) / (hh * ww)
        z = z.flatten(1)
        z = torch.sign(z) * torch.sqrt(torch.abs(z) + 1e-5)
        return F.normalize(z, dim=1)


class TextureNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2, padding_mode="reflect")
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, padding_mode="reflect")
        self.c3 = nn.Conv2d(32, 24, 3, padding=1, padding_mode="reflect")
        self.pool = BilinearPool()
        self.fc = nn.Linear(24 * 24, classes)
        for m in (self.c1, self.c2, self.c3):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.c1(x)), 2)
        h = F.max_pool2d(F.relu(self.c2(h)), 2)
        h = F.relu(self.c3(h))
        return self.fc(self.pool(h))


# In[4]:

EPOCHS = 6
net = TextureNet(len(NAMES))
opt = torch.optim.Adam([
    {"params": [p for n, p in net.named_parameters() if not n.startswith("fc.")], "lr": 2e-3},
    {"params": net.fc.parameters(), "lr": 2e-2},  # unit-length features: the head needs larger weights
])
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=40, shuffle=True)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHS * len(train_loader))

history = []
for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item() * len(xb)
    history.append(running / len(x_train))
    print(f"epoch {epoch + 1}: train loss {history[-1]:.4f}")


# In[5]:

net.eval()
with torch.no_grad():
    pred = net(x_test).argmax(dim=1)
for k, name in enumerate(NAMES):
    m = y_test == k
    print(f"{name:8s} {(pred[m] == k).float().mean():.2f}")
print(f"accuracy: {(pred == y_test).float().mean():.3f}")
