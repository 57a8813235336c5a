#!/usr/bin/env python
# coding: utf-8

# # Reading analogue gauges
# Ported from our old TF1 notebook.

# In[1]:


import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

np.random.seed(5)
torch.manual_seed(5)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


# In[2]:


N_BINS = 8


def gauge(bin_index):
    im = Image.new("L", (72, 72), int(np.random.randint(90, 170)))
    d = ImageDraw.Draw(im)
    cx, cy = 36 + np.random.uniform(-4, 4, 2)
    r = np.random.uniform(26, 31)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(np.random.randint(200, 256)), outline=30, width=2)
    frac = (bin_index + np.random.uniform(0.1, 0.9)) / N_BINS
    start = math.radians(135)
    for k in range(N_BINS + 1):
        a = start + math.radians(270) * k / N_BINS
        d.line([cx + 0.85 * r * math.cos(a), cy + 0.85 * r * math.sin(a), cx + r * math.cos(a), cy + r * math.sin(a)], fill=40, width=2)
    a = start + math.radians(270) * frac
    length = np.random.uniform(0.65, 0.85) * r
    d.line([cx - 5 * math.cos(a), cy - 5 * math.sin(a), cx + length * math.cos(a), cy + length * math.sin(a)], fill=int(np.random.randint(0, 90)), width=3)
    im = im.resize((36, 36), Image.BILINEAR)
    arr = np.asarray(im, dtype=np.float32) / 255 + np.random.normal(0, 0.03, (36, 36))
    return arr.astype(np.float32)


y = np.random.permutation(np.arange(1500) % N_BINS)
X = np.stack([gauge(k) for k in y])[:, None]
X_train, y_train = torch.from_numpy(X[:1200]), torch.from_numpy(y[:1200]).long()
X_test, y_test = torch.from_numpy(X[1200:]), torch.from_numpy(y[1200:]).long()
mu, sigma = X_train.mean(), X_train.std()
X_train, X_test = (X_train - mu) / sigma, (X_test - mu) / sigma
X_train.shape, X_test.shape


# In[3]:


def dropout(x, keep_prob, training):
    return F.dropout(x, p=1 - keep_prob, training=training)


class GaugeNet(nn.Module):
    def __init__(self, keep_prob=0.9):
        super().__init__()
        self.keep_prob = keep_prob
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 9 * 9, 64)
        self.fc2 = nn.Linear(64, N_BINS)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = dropout(x, self.keep_prob, self.training)
        x = F.relu(self.conv3(x)).flatten(1)
        x = dropout(x, self.keep_prob, self.training)
        x = F.relu(self.fc1(x))
        x = dropout(x, self.keep_prob, self.training)
        return self.fc2(x)


net = GaugeNet().to(device)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()


# In[4]:


batch = 40
history = []
for epoch in range(6):
    net.train()
    order = torch.randperm(len(X_train))
    total = 0.0
    for i in range(0, len(order), batch):
        idx = order[i:i + batch]
        xb, yb = X_train[idx].to(device), y_train[idx].to(device)
        opt.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    history.append(total / len(order))
    print("epoch", epoch, "loss", round(history[-1], 4))


# In[5]:


def score(X, y):
    net.eval()
    with torch.no_grad():
        out = torch.cat([net(X[i:i + 100].to(device)).cpu() for i in range(0, len(X), 100)])
    return (out.argmax(1) == y).float().mean().item()


print("on the training images:", round(score(X_train, y_train), 3))
print(f"accuracy: {score(X_test, y_test):.3f}")
