#!/usr/bin/env python
# coding: utf-8

# # Which tetromino is it?

# In[1]:

import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(8)
rng = np.random.default_rng(8)
device = "cuda" if torch.cuda.is_available() else "cpu"

# In[2]:

PIECES = {
    "I": [(0, 0), (1, 0), (2, 0), (3, 0)],
    "O": [(0, 0), (1, 0), (0, 1), (1, 1)],
    "T": [(0, 0), (1, 0), (2, 0), (1, 1)],
    "S": [(1, 0), (2, 0), (0, 1), (1, 1)],
    "Z": [(0, 0), (1, 0), (1, 1), (2, 1)],
    "L": [(0, 0), (1, 0), (2, 0), (0, 1)],
    "J": [(0, 0), (1, 0), (2, 0), (2, 1)],
}
NAMES = list(PIECES)
SIZE = 24


def draw(name):
    cells = np.array(PIECES[name], dtype=float) + 0.5
    cells -= cells.mean(0)
    unit = rng.uniform(4.2, 5.3)
    a = rng.integers(0, 4) * math.pi / 2 + rng.uniform(-0.3, 0.3)
    rot = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    mid = SIZE / 2 + rng.uniform(-1.5, 1.5, 2)
    back = rng.uniform(0, 120)
    im = Image.new("L", (SIZE * 2, SIZE * 2), int(back))
    d = ImageDraw.Draw(im)
    shade = int(back + rng.uniform(60, 130))
    for c in cells:
        corners = [c + np.array(o) for o in ((-.47, -.47), (.47, -.47), (.47, .47), (-.47, .47))]
        d.polygon([tuple(2 * (mid + unit * rot @ p)) for p in corners], fill=shade)
    arr = np.asarray(im.resize((SIZE, SIZE), Image.BILINEAR), dtype=np.float32)
    return arr + rng.normal(0, 12, arr.shape).astype(np.float32)


def batch_of(n):
    y = rng.integers(0, len(NAMES), n)
    x = np.stack([draw(NAMES[k]) for k in y])[:, None]
    return torch.tensor(x), torch.tensor(y)


x_train, y_train = batch_of(1200)
x_test, y_test = batch_of(350)
mu, sd = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sd, (x_test - mu) / sd
x_train.shape, x_test.shape

# In[3]:


class PieceNet(nn.Module):
    def __init__(self, classes, keep_prob=0.8):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1 = nn.Linear(64 * 3 * 3, 96)
        self.fc2 = nn.Linear(96, classes)
        self.drop = nn.Dropout(keep_prob)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        x = self.drop(x.flatten(1))
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


net = PieceNet(len(NAMES)).to(device)
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)

# In[4]:


def accuracy(x, y):
    net.eval()
    with torch.no_grad():
        hits = [(net(a.to(device)).argmax(1).cpu() == b).float().sum() for a, b in zip(x.split(100), y.split(100))]
    return (sum(hits) / len(y)).item()


history = []
for epoch in range(8):
    net.train()
    total = 0.0
    order = torch.randperm(len(x_train))
    for idx in order.split(40):
        opt.zero_grad()
        loss = F.cross_entropy(net(x_train[idx].to(device)), y_train[idx].to(device))
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    history.append(total / len(x_train))
    print(f"epoch {epoch}: training loss {history[-1]:.3f}")

# In[5]:

print(f"accuracy: {accuracy(x_test, y_test):.3f}")
