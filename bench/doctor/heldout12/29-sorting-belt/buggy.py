#!/usr/bin/env python
# coding: utf-8

# # What comes down the belt?
# Recycling line: can, box, lid, ring, or a damaged one; far from equally frequent. The plant wants to know how
# well *each kind* is caught, so the figure we report is the balanced accuracy (mean of the per-class recalls).

# In[1]:

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F

torch.manual_seed(42)
torch.set_num_threads(1)
names = ["damaged", "can", "box", "lid", "ring"]
freq = [0.60, 0.12, 0.10, 0.09, 0.09]
K, S = len(names), 26

# ## Data
# Silhouettes with random angle, size, place; belt texture and uneven light on top.

# In[2]:


def silhouette(k, rng):
    yy, xx = np.mgrid[:S, :S] - (S - 1) / 2
    a = rng.uniform(0, 2 * np.pi)
    dx, dy = rng.uniform(-3, 3, 2)
    r = rng.uniform(5.5, 8.5)
    u = ((xx - dx) * np.cos(a) + (yy - dy) * np.sin(a)) / r
    v = (-(xx - dx) * np.sin(a) + (yy - dy) * np.cos(a)) / r
    whole = k if k else rng.integers(1, K)
    if whole == 1:
        m = (np.abs(u) < 0.95) & (np.abs(v) < rng.uniform(0.4, 0.55))
    elif whole == 2:
        m = (np.abs(u) < 0.85) & (np.abs(v) < rng.uniform(0.75, 0.85))
    elif whole == 3:
        m = np.hypot(u, v) < 0.75
    else:
        m = np.abs(np.hypot(u, v) - 0.7) < rng.uniform(0.2, 0.3)
    if k == 0:      # a piece is missing
        gap, half = rng.uniform(-np.pi, np.pi), rng.uniform(0.45, 0.8)
        m &= np.abs((np.arctan2(v, u) - gap + np.pi) % (2 * np.pi) - np.pi) > half
    return ndimage.gaussian_filter(m.astype(float), rng.uniform(0.5, 1.1))


def snapshot(k, rng):
    belt = ndimage.gaussian_filter(rng.normal(size=(S, S)), (0.6, 2.0)) * rng.uniform(0.05, 0.2)
    light = np.linspace(-1, 1, S)[:, None] * rng.uniform(-0.15, 0.15) + rng.uniform(0.3, 0.5)
    return light + belt + rng.uniform(0.28, 0.55) * silhouette(k, rng) + rng.normal(0, 0.06, (S, S))


def collect(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(K, n, p=freq)
    x = np.stack([snapshot(k, rng) for k in y])
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y)


x_train, y_train = collect(1600, 0)
x_val, y_val = collect(400, 1)
x_test, y_test = collect(1000, 2)
mean, std = x_train.mean(), x_train.std()
x_train, x_val, x_test = ((x - mean) / std for x in (x_train, x_val, x_test))
print("train counts", dict(zip(names, torch.bincount(y_train, minlength=K).tolist())))

# ## Model

# In[3]:

net = nn.Sequential(
    nn.Conv2d(1, 14, 3, padding=1, bias=False), nn.BatchNorm2d(14), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
    nn.Conv2d(14, 28, 3, padding=1, bias=False), nn.BatchNorm2d(28), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
    nn.Conv2d(28, 40, 3, padding=1, bias=False), nn.BatchNorm2d(40), nn.LeakyReLU(0.1),
    nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(360, K),
)
print(sum(p.numel() for p in net.parameters()), "parameters")

# ## Metric

# In[4]:


@torch.no_grad()
def confusion(x, y):
    """Rows: what it is. Columns: what the net says."""
    net.eval()
    says = torch.cat([net(b).argmax(1) for b in x.split(250)])
    return torch.bincount(y * K + says, minlength=K * K).view(K, K)


def per_class(cm):
    return cm.diag() / cm.sum(0).clamp(min=1)


# ## Training

# In[5]:

epochs, batch = 10, 50
opt = torch.optim.SGD(net.parameters(), lr=0.08, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.08, total_steps=epochs * (len(x_train) // batch))

for epoch in range(epochs):
    net.train()
    losses = []
    for idx in torch.randperm(len(x_train)).split(batch):
        xb = x_train[idx]
        if torch.rand(()) < 0.5:
            xb = xb.flip(-1)
        loss = F.cross_entropy(net(xb), y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: loss {np.mean(losses):.3f}, val balanced accuracy {per_class(confusion(x_val, y_val)).mean():.3f}")

# ## Result

# In[6]:

cm = confusion(x_test, y_test)
for name, row, score in zip(names, cm.tolist(), per_class(cm).tolist()):
    print(f"{name:>7} {row}  {score:.3f}")
print(f"balanced accuracy on the test set: {per_class(cm).mean():.4f}")
