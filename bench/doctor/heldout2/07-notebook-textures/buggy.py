#!/usr/bin/env python
# coding: utf-8

# # Texture classification
# Five kinds of filtered noise. We accumulate gradients because the batches are small.

# In[1]:


import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(2021)
np.random.seed(2021)


# In[2]:


kernels = [
    np.pad(np.ones((1, 7)), ((3, 3), (0, 0))),
    np.pad(np.ones((7, 1)), ((0, 0), (3, 3))),
    np.eye(7),
    np.eye(7)[::-1].copy(),
    np.outer(np.hanning(7), np.hanning(7)),
]


def texture(label, size=24):
    noise = torch.randn(1, 1, size + 6, size + 6)
    k = torch.tensor(kernels[label], dtype=torch.float32)[None, None]
    t = F.conv2d(noise, k / k.pow(2).sum().sqrt())
    return t[0] + 1.3 * torch.randn(1, size, size)


labels = np.random.randint(0, 5, size=1200)
images = torch.stack([texture(l) for l in labels])
images = (images - images.mean()) / images.std()
labels = torch.tensor(labels)
images.shape


# In[3]:


train_loader = DataLoader(TensorDataset(images[:960], labels[:960]), batch_size=16, shuffle=True)
valid_loader = DataLoader(TensorDataset(images[960:], labels[960:]), batch_size=80)


# In[4]:


model = nn.Sequential(
    nn.Conv2d(1, 12, 7, padding=3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(24, 5),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
accum_steps = 2


# In[5]:


for epoch in range(8):
    model.train()
    optimizer.zero_grad()
    for step, (xb, yb) in enumerate(train_loader):
        loss = F.cross_entropy(model(xb), yb) / accum_steps
        loss.backward()
        if (step + 1) % accum_steps == 0:
            optimizer.step()

    model.eval()
    correct = 0
    with torch.no_grad():
        for xb, yb in valid_loader:
            correct += (model(xb).argmax(dim=1) == yb).sum().item()
    print("epoch", epoch, "loss", round(loss.item() * accum_steps, 4), "valid acc", correct / 240)


# In[6]:


print("accuracy: %.3f" % (correct / 240))
