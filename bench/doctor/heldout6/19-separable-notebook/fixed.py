#!/usr/bin/env python
# coding: utf-8

# # Fabric textures with a depthwise-separable network

# In[1]:


import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 42
np.random.seed(SEED)
torch.manual_seed(SEED)
device = "cuda" if torch.cuda.is_available() else "cpu"
names = ["stripes", "checks", "dots", "weave", "noise"]


# In[2]:


def texture(kind, size=32):
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    period = np.random.uniform(5, 9)
    a = np.random.uniform(0, np.pi)
    px, py = np.random.uniform(0, 2 * np.pi, 2)
    u = (xx * np.cos(a) + yy * np.sin(a)) * 2 * np.pi / period + px
    v = (-xx * np.sin(a) + yy * np.cos(a)) * 2 * np.pi / period + py
    if kind == "stripes":
        t = np.sin(u)
    elif kind == "checks":
        t = np.sign(np.sin(u) * np.sin(v))
    elif kind == "dots":
        t = np.where(np.cos(u) + np.cos(v) > 0.9, 1.0, -1.0)
    elif kind == "weave":
        t = np.where(np.sin(u / 2) * np.sin(v / 2) > 0, np.sin(u), np.sin(v))
    else:
        t = np.random.randn(size // 2, size // 2).repeat(2, 0).repeat(2, 1)
    t = np.random.uniform(0.5, 1.0) * t + 0.35 * np.random.randn(size, size)
    return t.astype(np.float32)


def build(n):
    y = np.random.randint(0, len(names), n)
    x = np.stack([texture(names[k]) for k in y])[:, None]
    return torch.from_numpy(x), torch.from_numpy(y).long()


x_train, y_train = build(1120)
x_test, y_test = build(400)
mu, sd = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sd, (x_test - mu) / sd
x_train.shape, x_test.shape, torch.bincount(y_train)


# In[3]:


train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=56, shuffle=True, drop_last=True)
test_dl = DataLoader(TensorDataset(x_test, y_test), batch_size=200)


# In[4]:


class Separable(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.depth = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.norm1 = nn.BatchNorm2d(cin)
        self.point = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(cout)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.norm1(self.depth(x)))
        return self.act(self.norm2(self.point(x)))


model = nn.Sequential(
    nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
    Separable(16, 32, 2),
    Separable(32, 48),
    Separable(48, 64, 2),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(64, len(names)),
).to(device)
sum(p.numel() for p in model.parameters())


# In[5]:


epochs = 5
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs * len(train_dl))
loss_fn = nn.CrossEntropyLoss()

for epoch in range(epochs):
    model.train()
    running = 0.0
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item()
    print(epoch, round(running / len(train_dl), 4))


# In[6]:


model.eval()
hits = 0
with torch.no_grad():
    for xb, yb in test_dl:
        hits += (model(xb.to(device)).argmax(1).cpu() == yb).sum().item()
print(f"accuracy: {hits / len(y_test):.3f}")
