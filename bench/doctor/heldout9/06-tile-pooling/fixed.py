#!/usr/bin/env python
# coding: utf-8

# # Inclusions in slide images
# Each slide shows background texture and a single inclusion somewhere. We cut the slide into four
# tiles, encode every tile with the same small CNN and max-pool the tile embeddings.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(21)
rng = np.random.default_rng(21)
device = "cuda" if torch.cuda.is_available() else "cpu"


# In[2]:

KINDS = ["blob", "ring", "plus", "ex", "hbar", "vbar", "dots"]


def inclusion(kind):
    v, u = np.mgrid[-6:7, -6:7].astype(np.float32)
    r = np.hypot(u, v)
    if kind == "blob":
        m = r < 4.2
    elif kind == "ring":
        m = (r > 3.2) & (r < 5.4)
    elif kind == "plus":
        m = ((abs(u) < 1.2) | (abs(v) < 1.2)) & (r < 5.5)
    elif kind == "ex":
        m = ((abs(u - v) < 1.6) | (abs(u + v) < 1.6)) & (r < 5.5)
    elif kind == "hbar":
        m = (abs(v) < 2.1) & (abs(u) < 5.5)
    elif kind == "vbar":
        m = (abs(u) < 2.1) & (abs(v) < 5.5)
    else:
        m = (np.abs(np.abs(u) - 3.5) < 1.3) & (np.abs(np.abs(v) - 3.5) < 1.3)
    return m.astype(np.float32)


def slide(label):
    coarse = rng.normal(0, 0.12, (3, 12, 12)).repeat(4, axis=1).repeat(4, axis=2)
    img = np.array([0.75, 0.55, 0.68])[:, None, None] + coarse + rng.normal(0, 0.07, (3, 48, 48))
    y, x = rng.integers(0, 2, 2) * 24 + rng.integers(1, 11, 2)
    tint = np.array([-0.4, -0.35, -0.15]) * rng.uniform(0.7, 1.1)
    img[:, y:y + 13, x:x + 13] += tint[:, None, None] * inclusion(KINDS[label])
    return img.clip(0, 1)


def build(n):
    labels = rng.integers(0, len(KINDS), n)
    slides = np.stack([slide(k) for k in labels]).astype(np.float32)
    return torch.from_numpy(slides), torch.from_numpy(labels)


x_tr, y_tr = build(1056)
x_te, y_te = build(400)
mu = x_tr.mean(dim=(0, 2, 3), keepdim=True)
sd = x_tr.std(dim=(0, 2, 3), keepdim=True)
x_tr, x_te = (x_tr - mu) / sd, (x_te - mu) / sd
x_tr.shape, x_te.shape


# In[3]:

class TileNet(nn.Module):
    def __init__(self, n_classes, dim=48):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.ReLU(),
            nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )
        self.classify = nn.Linear(dim, n_classes)

    def forward(self, x):
        n, _, h, w = x.shape
        h, w = h // 2, w // 2
        tiles = torch.cat([x[:, :, :h, :w], x[:, :, :h, w:], x[:, :, h:, :w], x[:, :, h:, w:]])
        z = self.encoder(tiles)
        z = z.view(4, n, -1).amax(dim=0)
        return self.classify(z)


model = TileNet(len(KINDS)).to(device)
sum(p.numel() for p in model.parameters())


# In[4]:

train_dl = DataLoader(TensorDataset(x_tr, y_tr), batch_size=48, shuffle=True)
test_dl = DataLoader(TensorDataset(x_te, y_te), batch_size=100)

EPOCHS = 4
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.75)
crit = nn.CrossEntropyLoss()

history = []
for epoch in range(EPOCHS):
    model.train()
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad()
        loss = crit(model(xb), yb)
        loss.backward()
        opt.step()
        history.append(loss.item())
    sched.step()
    print(epoch, round(float(np.mean(history[-len(train_dl):])), 4))


# In[5]:

model.eval()
correct = 0
with torch.no_grad():
    for xb, yb in test_dl:
        correct += (model(xb.to(device)).argmax(1).cpu() == yb).sum().item()
print(f"accuracy: {correct / len(y_te):.3f}")
