#!/usr/bin/env python
# coding: utf-8

# # Meter digits
# 
# Seven-segment digits as cut out of photographs of electricity meters.
# **Update:** the cut-outs are now 48x48 so that the thin segments survive.

# In[1]:


import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(0)
np.random.seed(0)


# In[2]:


IMG = 48
SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]

def digit(k):
    w, h = np.random.randint(14, 22), np.random.randint(26, 36)
    x0, y0 = np.random.randint(3, IMG - w - 3), np.random.randint(3, IMG - h - 3)
    x1, y1, ym = x0 + w, y0 + h, y0 + h // 2
    lines = dict(a=(x0, y0, x1, y0), b=(x1, y0, x1, ym), c=(x1, ym, x1, y1), d=(x0, y1, x1, y1),
                 e=(x0, ym, x0, y1), f=(x0, y0, x0, ym), g=(x0, ym, x1, ym))
    im = Image.new("L", (IMG, IMG), np.random.randint(20, 80))
    d = ImageDraw.Draw(im)
    ink, thick = np.random.randint(140, 250), np.random.randint(2, 5)
    for s in SEGMENTS[k]:
        d.line(lines[s], fill=ink, width=thick)
    im = im.rotate(np.random.uniform(-6, 6), resample=Image.BILINEAR, fillcolor=40)
    return np.asarray(im) + np.random.normal(0, 12, (IMG, IMG))


# In[3]:


labels = np.random.randint(0, 10, 1400)
images = np.stack([digit(k) for k in labels]).clip(0, 255).astype("float32") / 255

X = torch.tensor(images)[:, None]
Y = torch.tensor(labels)
X_train, Y_train = X[:1150], Y[:1150]
X_test, Y_test = X[1150:], Y[1150:]

mu, sigma = X_train.mean(), X_train.std()
X_train = (X_train - mu) / sigma
X_test = (X_test - mu) / sigma
X_train.shape, X_test.shape


# In[4]:


train_dl = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(X_train, Y_train), batch_size=64, shuffle=True)


# In[5]:


class Net(nn.Module):
    n_features = 32 * 6 * 6

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.c3 = nn.Conv2d(24, 32, 3, padding=1)
        self.fc1 = nn.Linear(self.n_features, 64)
        self.drop = nn.Dropout(0.2)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        x = x.view(-1, self.n_features)
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)

net = Net()
print(sum(p.numel() for p in net.parameters()), "parameters")


# In[6]:


optimizer = torch.optim.Adam(net.parameters(), lr=1.5e-3)
history = []
for epoch in range(5):
    net.train()
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print(epoch, np.mean(history[-len(train_dl):]))


# In[7]:


net.eval()
with torch.no_grad():
    pred = net(X_test).argmax(dim=1)
acc = (pred == Y_test).float().mean().item()
print(f"accuracy: {acc:.3f}")
