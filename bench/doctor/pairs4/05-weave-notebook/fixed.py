#!/usr/bin/env python
# coding: utf-8

# # Fabric textures
# Five weave patterns, a plain CNN, decay only on the weights.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(0)
torch.manual_seed(0)

# In[2]:

def weave(kind, size=24):
    y, x = np.mgrid[:size, :size] + np.random.randint(0, 8, (2, 1, 1))
    f = np.random.uniform(0.7, 1.0)
    if kind == 0:
        t = np.sin(f * x) * np.sin(f * y)
    elif kind == 1:
        t = np.sin(f * (x + y))
    elif kind == 2:
        t = np.sin(f * x)
    elif kind == 3:
        t = np.sin(0.6 * f * np.hypot(x - 16, y - 16))
    else:
        t = np.sin(f * y)
    return t + np.random.normal(0, 1.7, t.shape)


def dataset(per_class):
    images = np.stack([weave(k) for k in range(5) for _ in range(per_class)])
    labels = np.repeat(np.arange(5), per_class)
    return torch.tensor(images, dtype=torch.float32)[:, None], torch.tensor(labels)


X, Y = dataset(200)
X_test, Y_test = dataset(60)
m, s = X.mean(), X.std()
X, X_test = (X - m) / s, (X_test - m) / s
X.shape, X_test.shape

# In[3]:

def cbr(i, o, stride=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


model = nn.Sequential(
    cbr(1, 16),
    cbr(16, 32, stride=2),
    cbr(32, 32),
    cbr(32, 64, stride=2),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 5),
)

# In[4]:

# matrices and kernels get weight decay, the vectors (norm layers, biases) do not
kernels = [p for p in model.parameters() if p.ndim > 1]
vectors = [p for p in model.parameters() if p.ndim <= 1]
optimizers = [
    torch.optim.SGD(kernels, lr=0.05, momentum=0.9, weight_decay=5e-4),
    torch.optim.SGD(vectors, lr=0.05, momentum=0.9),
]
schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=5) for o in optimizers]

# In[5]:

history = []
for epoch in range(5):
    model.train()
    order = torch.randperm(len(X))
    for start in range(0, len(X), 50):
        idx = order[start:start + 50]
        loss = F.cross_entropy(model(X[idx]), Y[idx])
        loss.backward()
        for opt in optimizers:
            opt.step()
            opt.zero_grad()
        history.append(loss.item())
    for sched in schedulers:
        sched.step()
    print(f"epoch {epoch}: mean loss {np.mean(history[-20:]):.4f}")

# In[6]:

model.eval()
with torch.no_grad():
    prediction = torch.cat([model(chunk).argmax(1) for chunk in X_test.split(100)])
print(f"accuracy: {(prediction == Y_test).float().mean().item():.3f}")
