#!/usr/bin/env python
# coding: utf-8

# # Road-marking arrows
# 
# Eight directions. The survey car mostly met the four straight ones, so diagonals are rare
# in the training images; the test images were picked evenly.

# In[1]:


import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(42)
torch.manual_seed(42)
device = 'cuda' if torch.cuda.is_available() else 'cpu'
NAMES = ['E', 'SE', 'S', 'SW', 'W', 'NW', 'N', 'NE']


# In[2]:


def arrow(direction, size=28):
    big = Image.new('L', (4 * size, 4 * size), 70)
    d = ImageDraw.Draw(big)
    a = direction * math.pi / 4 + np.random.normal(0, 0.09)
    c = np.array([2 * size, 2 * size]) + np.random.normal(0, 5, 2)
    along, across = np.array([math.cos(a), math.sin(a)]), np.array([-math.sin(a), math.cos(a)])
    length, width = np.random.uniform(28, 42), np.random.uniform(4, 9)
    tip, tail = c + along * length, c - along * length
    neck = c + along * length * np.random.uniform(0.1, 0.45)
    paint = int(np.random.uniform(150, 230))
    d.polygon([tuple(p) for p in (tail + across * width, neck + across * width, neck - across * width,
                                  tail - across * width)], fill=paint)
    d.polygon([tuple(p) for p in (tip, neck + across * width * 2.8, neck - across * width * 2.8)], fill=paint)
    img = np.asarray(big.resize((size, size), Image.BILINEAR), dtype=np.float32) / 255
    worn = np.random.rand(size, size) < 0.12
    img = np.where(worn, 0.3, img) + np.random.normal(0, 0.07, (size, size))
    return img.astype(np.float32)


# In[3]:


counts = [180, 30, 180, 30, 180, 30, 180, 30]
y_train = np.random.permutation(np.repeat(np.arange(8), counts))
x_train = np.stack([arrow(k) for k in y_train])
y_test = np.repeat(np.arange(8), 50)
x_test = np.stack([arrow(k) for k in y_test])
print(x_train.shape, np.bincount(y_train))


# Bring the diagonals up to strength with five more versions of each image (shifted a little, other noise).

# In[4]:


COPIES = 5


def variant(images):
    out = np.empty_like(images)
    for i, im in enumerate(images):
        dy, dx = np.random.randint(-2, 3, 2)
        out[i] = np.roll(im, (dy, dx), (0, 1)) * np.random.uniform(0.85, 1.15)
    return out + np.random.normal(0, 0.04, out.shape).astype(np.float32)


rare = y_train % 2 == 1
x_more = np.concatenate([variant(x_train[rare]) for _ in range(COPIES)])
y_more = np.repeat(y_train[rare], COPIES)
x_all = np.concatenate([x_train, x_more])
y_all = np.concatenate([y_train, y_more])
print(x_all.shape, np.bincount(y_all))


# In[5]:


mean, std = x_all.mean(), x_all.std()


def dataset(x, y):
    return TensorDataset(torch.from_numpy((x - mean) / std).unsqueeze(1), torch.from_numpy(y))


train_dl = DataLoader(dataset(x_all, y_all), batch_size=48, shuffle=True, drop_last=True)
test_dl = DataLoader(dataset(x_test, y_test), batch_size=100)


# In[6]:


class ArrowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 7 * 7, 64)
        self.out = nn.Linear(64, 8)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.c3(x))
        x = F.relu(self.fc(x.flatten(1)))
        return self.out(x)


model = ArrowNet().to(device)
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.0)
warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 20))


# In[7]:


history = []
for epoch in range(6):
    model.train()
    total = 0.0
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        warm.step()
        total += loss.item()
    history.append(total / len(train_dl))
    print(epoch, round(history[-1], 4))


# In[8]:


model.eval()
table = np.zeros((8, 8), dtype=int)
with torch.no_grad():
    for xb, yb in test_dl:
        for t, p in zip(yb.tolist(), model(xb.to(device)).argmax(1).tolist()):
            table[t, p] += 1
for name, row in zip(NAMES, table):
    print(f'{name:>3}', row)
print(f'accuracy: {np.trace(table) / table.sum():.3f}')
