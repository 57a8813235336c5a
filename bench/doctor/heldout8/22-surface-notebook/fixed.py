#!/usr/bin/env python
# coding: utf-8

# # Surface inspection
# Four kinds of metal patch from the line camera. Good parts are the rule, defects are rare,
# while the acceptance set has equally many of each.

# In[1]:


import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
rng = np.random.default_rng(5)
names = ["good", "scratch", "pit", "stain"]


# In[2]:


def patch(kind, n=32):
    yy, xx = np.mgrid[0:n, 0:n]
    grain = np.repeat(rng.normal(0, 9, (n, 1)), n, axis=1)
    img = 130 + rng.uniform(-20, 20) + grain + rng.normal(0, 9, (n, n))
    cx, cy = rng.uniform(6, n - 6, 2)
    if kind == 1:
        a, half = rng.uniform(0.3, 2.8), rng.uniform(5, 11)
        u = (xx - cx) * np.cos(a) + (yy - cy) * np.sin(a)
        v = -(xx - cx) * np.sin(a) + (yy - cy) * np.cos(a)
        img += rng.uniform(24, 48) * ((np.abs(u) < half) & (np.abs(v) < 0.9))
    elif kind == 2:
        img -= rng.uniform(30, 60) * (np.hypot(xx - cx, yy - cy) < rng.uniform(1.5, 3))
    elif kind == 3:
        s = rng.uniform(4, 7)
        img -= rng.uniform(18, 38) * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * s * s))
    return img


def collect(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.stack([patch(k) for k in y])[:, None]
    order = rng.permutation(len(y))
    return torch.tensor(x[order], dtype=torch.float32), torch.tensor(y[order])


x_train, y_train = collect([1000, 90, 75, 60])
x_test, y_test = collect([80, 80, 80, 80])
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
x_train.shape, x_test.shape


# In[3]:


counts = torch.bincount(y_train, minlength=len(names)).float()
class_weights = counts.sum() / (len(names) * counts)
print(dict(zip(names, class_weights.tolist())))


# In[4]:


class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, padding=1)
        self.na = nn.GroupNorm(4, cout)
        self.b = nn.Conv2d(cout, cout, 3, padding=1)
        self.nb = nn.GroupNorm(4, cout)
        self.skip = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        h = F.relu(self.na(self.a(x)))
        h = self.nb(self.b(h))
        return F.max_pool2d(F.relu(h + self.skip(x)), 2)


model = nn.Sequential(Block(1, 12), Block(12, 24), Block(24, 32), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, len(names)))
criterion = nn.CrossEntropyLoss(weight=class_weights)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)


# In[5]:


batch = 35
epochs = 4
for epoch in range(epochs):
    model.train()
    perm = torch.randperm(len(x_train))
    losses = []
    for i in range(0, len(perm), batch):
        idx = perm[i:i + batch]
        optimizer.zero_grad()
        loss = criterion(model(x_train[idx]), y_train[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch == 2:
        for group in optimizer.param_groups:
            group["lr"] *= 0.3
    print(epoch, sum(losses) / len(losses))


# In[6]:


model.eval()
with torch.no_grad():
    pred = model(x_test).argmax(1)
for k, name in enumerate(names):
    print(f"{name:8s} recall {(pred[y_test == k] == k).float().mean().item():.2f}")
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
