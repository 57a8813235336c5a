#!/usr/bin/env python
# coding: utf-8

# # Seven-segment meter digits
# Small CNN that reads a single digit from a noisy LCD meter photo.

# In[1]:


import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch.utils.data import DataLoader, TensorDataset

random.seed(3)
np.random.seed(3)
torch.manual_seed(3)
device = "cuda" if torch.cuda.is_available() else "cpu"


# In[2]:


# segments: top, top-left, top-right, middle, bottom-left, bottom-right, bottom
SEGMENTS = {
    0: "1110111", 1: "0010010", 2: "1011101", 3: "1011011", 4: "0111010",
    5: "1101011", 6: "1101111", 7: "1010010", 8: "1111111", 9: "1111011",
}


def draw_digit(d):
    size = 28
    bg, fg = random.randint(110, 190), random.randint(5, 60)
    im = Image.new("L", (size, size), bg)
    pen = ImageDraw.Draw(im)
    w, h = random.randint(8, 11), random.randint(7, 9)
    x = random.randint(4, size - w - 5)
    y = random.randint(3, size - 2 * h - 4)
    t = random.choice([2, 3])
    lines = [
        ((x, y), (x + w, y)), ((x, y), (x, y + h)), ((x + w, y), (x + w, y + h)),
        ((x, y + h), (x + w, y + h)), ((x, y + h), (x, y + 2 * h)),
        ((x + w, y + h), (x + w, y + 2 * h)), ((x, y + 2 * h), (x + w, y + 2 * h)),
    ]
    for on, (a, b) in zip(SEGMENTS[d], lines):
        if on == "1":
            pen.line([a, b], fill=fg, width=t)
    im = im.rotate(random.uniform(-8, 8), fillcolor=bg).filter(ImageFilter.GaussianBlur(random.uniform(0.2, 0.8)))
    arr = np.asarray(im, dtype=np.float32) + np.random.normal(0, 12, (size, size))
    return arr.clip(0, 255) / 255.0


def make_set(n):
    ys = np.random.randint(0, 10, n)
    xs = np.stack([draw_digit(int(y)) for y in ys])[:, None]
    return torch.tensor(xs, dtype=torch.float32), torch.tensor(ys, dtype=torch.long)


x_train, y_train = make_set(1600)
x_test, y_test = make_set(500)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
x_train.shape, x_test.shape


# In[3]:


train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True)
test_dl = DataLoader(TensorDataset(x_test, y_test), batch_size=250)


# In[4]:


def conv(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


def dense(cin, cout):
    return nn.Sequential(nn.Linear(cin, cout), nn.ReLU())


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv(1, 16), conv(16, 32), conv(32, 32))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), dense(32 * 3 * 3, 64), dense(64, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


net = DigitNet().to(device)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
sum(p.numel() for p in net.parameters())


# In[5]:


def evaluate(dl):
    net.eval()
    hits = total = 0
    with torch.no_grad():
        for xb, yb in dl:
            pred = net(xb.to(device)).argmax(1).cpu()
            hits += (pred == yb).sum().item()
            total += len(yb)
    return hits / total


for epoch in range(6):
    net.train()
    running = 0.0
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad()
        loss = loss_fn(net(xb), yb)
        loss.backward()
        opt.step()
        running += loss.item() * len(yb)
    print(f"epoch {epoch + 1}: train loss {running / len(x_train):.4f}")


# In[6]:


print(f"accuracy: {evaluate(test_dl):.3f}")
