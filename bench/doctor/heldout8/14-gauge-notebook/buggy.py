#!/usr/bin/env python
# coding: utf-8

# # Pressure gauge reader
# Which of eight sectors does the needle point to?

# In[1]:


import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import Dataset, DataLoader, random_split

torch.manual_seed(42)
IMG_SIZE = 48
N_CLASSES = 8
BATCH_SIZE = 64


# In[2]:


def draw_gauge(sector, rng):
    s = IMG_SIZE * 2
    img = Image.new('L', (s, s), int(rng.integers(90, 160)))
    d = ImageDraw.Draw(img)
    cx, cy = s / 2 + rng.uniform(-4, 4), s / 2 + rng.uniform(-4, 4)
    r = rng.uniform(36, 42)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(rng.integers(200, 250)), outline=30, width=4)
    for k in range(9):
        a = math.radians(135 + 270 * k / 8)
        d.line([cx + 0.8 * r * math.cos(a), cy + 0.8 * r * math.sin(a),
                cx + 0.95 * r * math.cos(a), cy + 0.95 * r * math.sin(a)], fill=60, width=2)
    a = math.radians(135 + 270 * (sector + rng.uniform(0.15, 0.85)) / 8)
    d.line([cx, cy, cx + 0.72 * r * math.cos(a), cy + 0.72 * r * math.sin(a)], fill=20, width=5)
    d.ellipse([cx - 5, cy - 5, cx + 5, cy + 5], fill=20)
    return img.resize((IMG_SIZE, IMG_SIZE), Image.BILINEAR)


# In[3]:


class GaugeDataset(Dataset):
    def __init__(self, n, seed=0):
        rng = np.random.default_rng(seed)
        self.labels = torch.arange(n) % N_CLASSES
        imgs = []
        for y in self.labels.tolist():
            arr = np.array(draw_gauge(y, rng), dtype=np.float32)
            arr += rng.normal(0, 10, arr.shape)
            imgs.append(np.clip(arr, 0, 255))
        self.images = torch.tensor(np.stack(imgs) / 255.0, dtype=torch.float32).unsqueeze(1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return (self.images[i] - 0.6) / 0.3, self.labels[i]


full = GaugeDataset(1200)
train_ds, val_ds = random_split(full, [900, 300], generator=torch.Generator().manual_seed(0))
train_dl = DataLoader(train_ds, batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
val_dl = DataLoader(val_ds, batch_size=BATCH_SIZE)
len(train_ds), len(val_ds)


# In[4]:


class GaugeCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.n_flat = 32 * 8 * 8
        self.fc1 = nn.Linear(self.n_flat, 96)
        self.drop = nn.Dropout(0.25)
        self.fc2 = nn.Linear(96, N_CLASSES)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, self.n_flat)
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
model = GaugeCNN().to(device)
model


# In[5]:


opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
loss_fn = nn.CrossEntropyLoss()

history = []
for epoch in range(6):
    model.train()
    epoch_loss = 0
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        opt.zero_grad()
        out = model(xb)
        loss = loss_fn(out, yb)
        loss.backward()
        opt.step()
        epoch_loss += loss.item()
    history.append(epoch_loss / len(train_dl))
    print('epoch', epoch + 1, 'train loss', round(history[-1], 4))


# In[6]:


model.eval()
correct = 0
with torch.no_grad():
    for xb, yb in val_dl:
        correct += (model(xb.to(device)).argmax(1).cpu() == yb).sum().item()
print('accuracy: %.3f' % (correct / len(val_ds)))
