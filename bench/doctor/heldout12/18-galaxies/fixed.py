#!/usr/bin/env python
# coding: utf-8

# # Galaxy morphology
# Four classes as in the citizen-science catalogue: spirals winding like an S,
# spirals winding like a Z, ellipticals, and discs seen edge-on.

# In[1]:


import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

torch.manual_seed(0)
torch.set_num_threads(1)
rng = np.random.default_rng(2024)

NAMES = ["spiral-S", "spiral-Z", "elliptical", "edge-on"]
N = 32


# ## Simulated cut-outs

# In[2]:


def galaxy(kind):
    y, x = np.mgrid[:N, :N] - (N - 1) / 2
    y, x = y - rng.uniform(-2, 2), x - rng.uniform(-2, 2)
    pa = rng.uniform(0, 2 * np.pi)
    u, v = x * np.cos(pa) + y * np.sin(pa), y * np.cos(pa) - x * np.sin(pa)
    h = rng.uniform(3.5, 5.0)
    if kind < 2:
        v = v / rng.uniform(0.7, 1.0)
        r, t = np.hypot(u, v) + 0.5, np.arctan2(v, u)
        sense = 1 if kind == 0 else -1
        wind = rng.uniform(1.6, 2.4)
        arms = 1 + rng.uniform(.7, .95) * np.cos(2 * (t + sense * wind * np.log(r)))
        im = np.exp(-r / h) * arms * 1.3 + 1.0 * np.exp(-(r / 1.6) ** 2)
    elif kind == 2:
        r = np.hypot(u, v / rng.uniform(0.55, 1.0))
        im = 2.2 * np.exp(-2.0 * (r / h) ** 0.6)
    else:
        r = np.hypot(u, v / rng.uniform(0.15, 0.3))
        im = 1.3 * np.exp(-r / h) + 0.8 * np.exp(-(np.hypot(u, v) / 1.8) ** 2)
    im = gaussian_filter(im, rng.uniform(0.5, 0.8)) * rng.uniform(0.7, 1.3)
    return im + rng.normal(0, 0.13, im.shape)


def sample(n):
    y = rng.permutation(np.arange(n) % 4)
    x = np.stack([np.arcsinh(5 * galaxy(k)) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = sample(1000)
x_val, y_val = sample(300)
x_test, y_test = sample(400)

mu, sigma = x_train.mean(), x_train.std()
x_train, x_val, x_test = ((x - mu) / sigma for x in (x_train, x_val, x_test))
print(x_train.shape, torch.bincount(y_train))


# ## Augmentation
# A galaxy has no preferred orientation on the sky, so every batch is drawn through
# the symmetries of the square and moved by up to two pixels.

# In[3]:


MIRROR = torch.tensor([1, 0, 2, 3])


def augment(xb, yb):
    xb, yb = xb.clone(), yb.clone()
    for i in range(len(xb)):
        xb[i] = torch.rot90(xb[i], int(torch.randint(4, (1,))), (1, 2))
        if torch.rand(1) < 0.5:
            xb[i] = xb[i].transpose(1, 2).clone()
            yb[i] = MIRROR[yb[i]]
        dy, dx = torch.randint(-2, 3, (2,)).tolist()
        xb[i] = torch.roll(xb[i], (dy, dx), (1, 2))
    return xb, yb


# ## Network

# In[4]:


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2, bias=False)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.b3 = nn.BatchNorm2d(48)
        self.out = nn.Linear(48 * 4 * 4, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        x = F.max_pool2d(F.relu(self.b3(self.c3(x))), 2)
        return self.out(x.flatten(1))


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        pred = torch.cat([net(b).argmax(1) for b in x.split(100)])
    return (pred == y).float().mean().item(), pred


# ## Training

# In[5]:


net = Net()
EPOCHS, BATCH = 9, 50
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
best = 0.0
for epoch in range(EPOCHS):
    net.train()
    losses = []
    for idx in torch.randperm(len(x_train)).split(BATCH):
        xb, yb = augment(x_train[idx], y_train[idx])
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
    acc, _ = accuracy(net, x_val, y_val)
    if acc > best:
        best, keep = acc, {k: v.clone() for k, v in net.state_dict().items()}
    print(f"{epoch:2d}  loss {np.mean(losses):.3f}  val {acc:.3f}")


# ## Result on the test cut-outs

# In[6]:


net.load_state_dict(keep)
acc, pred = accuracy(net, x_test, y_test)
for k, name in enumerate(NAMES):
    print(f"{name:12s} recall {(pred[y_test == k] == k).float().mean():.3f}")
print(f"test accuracy: {acc:.4f}")
