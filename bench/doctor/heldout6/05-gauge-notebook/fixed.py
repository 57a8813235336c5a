#!/usr/bin/env python
# coding: utf-8

# # Reading dial gauges
# Ten needle positions, synthetic photos.

# In[1]:


import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(42)
device = "cuda" if torch.cuda.is_available() else "cpu"


# ## Data

# In[2]:


def gauge(k, rng, size=36):
    im = Image.new("L", (size * 2, size * 2), int(rng.integers(90, 140)))
    d = ImageDraw.Draw(im)
    c = size + rng.uniform(-2, 2, 2)
    r = size * 0.85
    d.ellipse([c[0] - r, c[1] - r, c[0] + r, c[1] + r], fill=int(rng.integers(200, 250)), outline=30, width=3)
    for t in range(10):
        a = math.radians(135 + 30 * t)
        d.line([(c[0] + q * r * math.cos(a), c[1] + q * r * math.sin(a)) for q in (0.82, 0.95)], fill=60, width=2)
    a = math.radians(135 + 30 * k + rng.uniform(-7, 7))
    d.line([tuple(c), (c[0] + 0.75 * r * math.cos(a), c[1] + 0.75 * r * math.sin(a))], fill=int(rng.integers(10, 60)), width=4)
    a = np.asarray(im.resize((size, size), Image.BILINEAR), dtype=np.float32)
    return np.clip(a + rng.normal(0, 8, a.shape), 0, 255).astype(np.uint8)


rng = np.random.default_rng(42)
labels = rng.integers(0, 10, 1400)
images = np.stack([gauge(int(k), rng) for k in labels])
images.shape, np.bincount(labels)


# In[3]:


def to_tensor(img):
    return (torch.from_numpy(img).float().unsqueeze(0) / 255 - 0.75) / 0.2


def train_tf(img):
    x = to_tensor(img)
    dy, dx = torch.randint(-3, 4, (2,)).tolist()
    x = torch.roll(x, (dy, dx), dims=(1, 2))
    x = x * torch.empty(1).uniform_(0.7, 1.3)
    for _ in range(2):
        h, w = torch.randint(10, 18, (2,)).tolist()
        top, left = torch.randint(0, 36 - h, (1,)).item(), torch.randint(0, 36 - w, (1,)).item()
        x[:, top:top + h, left:left + w] = 0
    return x


def eval_tf(img):
    return to_tensor(img)


class Gauges(Dataset):
    def __init__(self, images, labels, transform=eval_tf):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(self.images[i]), int(self.labels[i])


# In[4]:


full = Gauges(images, labels)
train_set, val_set = random_split(full, [1000, 400], generator=torch.Generator().manual_seed(0))
val_set.dataset = copy.copy(full)
val_set.dataset.transform = eval_tf
train_set.dataset.transform = train_tf

train_dl = DataLoader(train_set, batch_size=25, shuffle=True)
val_dl = DataLoader(val_set, batch_size=100)


# ## Model

# In[5]:


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


model = nn.Sequential(
    conv(1, 12), conv(12, 24), conv(24, 48),
    nn.Flatten(), nn.Linear(48 * 4 * 4, 10),
).to(device)
sum(p.numel() for p in model.parameters())


# ## Training

# In[6]:


epochs = 5
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=8e-3, epochs=epochs, steps_per_epoch=len(train_dl))

for epoch in range(epochs):
    model.train()
    losses = []
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        loss = F.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
    print(epoch, round(float(np.mean(losses)), 4))


# In[7]:


model.eval()
correct = 0
with torch.no_grad():
    for xb, yb in val_dl:
        correct += (model(xb.to(device)).argmax(1).cpu() == yb).sum().item()
print(f"accuracy: {correct / len(val_set):.3f}")
