#!/usr/bin/env python
# coding: utf-8

# # Bilinear CNN on filtered-noise textures

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

np.random.seed(0)
torch.manual_seed(0)

# In[2]: the data: white noise, shaped in the frequency domain

SIDE = 24
FX, FY = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))
# (width along x, width along y, rotation) of the pass band
BANDS = [(0.16, 0.16, 0.0), (0.07, 0.07, 0.0), (0.16, 0.04, 0.0), (0.04, 0.16, 0.0), (0.16, 0.04, np.pi / 4)]


def texture(label):
    sx, sy, rot = BANDS[label]
    rot = rot + np.random.normal(0, 0.08)
    u = FX * np.cos(rot) + FY * np.sin(rot)
    v = -FX * np.sin(rot) + FY * np.cos(rot)
    gain = np.exp(-0.5 * ((u / sx) ** 2 + (v / sy) ** 2))
    z = np.fft.ifft2(np.fft.fft2(np.random.randn(SIDE, SIDE)) * gain).real
    z = (z - z.mean()) / z.std()
    return z + 0.5 * np.random.randn(SIDE, SIDE)


def dataset(n):
    y = np.random.randint(0, len(BANDS), n)
    x = np.stack([texture(k) for k in y])[:, None] / 1.12
    return TensorDataset(torch.from_numpy(x).float(), torch.from_numpy(y))


train_set, valid_set, test_set = dataset(2000), dataset(300), dataset(500)
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
valid_loader = DataLoader(valid_set, batch_size=100)
test_loader = DataLoader(test_set, batch_size=100)

# In[3]: the model: three convolutions, bilinear pooling, signed square root, L2 norm


class BilinearCNN(nn.Module):
    def __init__(self, n_classes, width=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, width, 3, padding=1)
        self.fc = nn.Linear(width * width, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x)).flatten(2)
        z = torch.bmm(x, x.transpose(1, 2)) / x.size(2)
        z = z.flatten(1)
        z = torch.sign(z) * torch.sqrt(torch.abs(z) + 1e-5)
        z = F.normalize(z, dim=1)
        return self.fc(z)


# In[4]:


def evaluate(model, loader):
    model.eval()
    hits, count = 0, 0
    with torch.no_grad():
        for x, y in loader:
            hits += int((model(x).argmax(1) == y).sum())
            count += len(y)
    return hits / count


# In[5]:

model = BilinearCNN(len(BANDS))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    model.train()
    for x, y in train_loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}  loss {loss.item():.3f}  validation {evaluate(model, valid_loader):.3f}")

# In[6]:

print(f"accuracy: {evaluate(model, test_loader):.3f}")
