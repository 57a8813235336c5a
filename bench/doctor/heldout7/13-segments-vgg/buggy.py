#!/usr/bin/env python
# coding: utf-8

# # Meter digits
# Seven-segment digits from a (simulated) electricity meter display.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader
from PIL import Image, ImageDraw

np.random.seed(0)
torch.manual_seed(0)


# In[2]:

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
ENDS = {"a": ((0, 0), (1, 0)), "b": ((1, 0), (1, 1)), "c": ((1, 1), (1, 2)), "d": ((0, 2), (1, 2)),
        "e": ((0, 1), (0, 2)), "f": ((0, 0), (0, 1)), "g": ((0, 1), (1, 1))}

def digit_image(d):
    im = Image.new("L", (64, 64), 255)
    pen = ImageDraw.Draw(im)
    w, h = np.random.uniform(16, 22), np.random.uniform(17, 22)
    x0, y0 = 32 - w / 2 + np.random.uniform(-9, 9), 32 - h + np.random.uniform(-6, 6)
    slant = np.random.uniform(-0.05, 0.2)
    width = np.random.randint(4, 8)
    for name, ((xa, ya), (xb, yb)) in ENDS.items():
        on = name in SEGMENTS[d]
        pa = (x0 + xa * w - slant * (ya - 1) * h, y0 + ya * h)
        pb = (x0 + xb * w - slant * (yb - 1) * h, y0 + yb * h)
        pen.line([pa, pb], fill=np.random.randint(20, 70) if on else 225, width=width)
    a = np.asarray(im.resize((32, 32), Image.BILINEAR), dtype=np.float32)
    a = a * np.random.uniform(0.6, 1.0) + np.random.normal(0, 12, a.shape)
    return a.clip(0, 255)

def digit_set(n):
    y = np.random.randint(0, 10, n)
    x = np.stack([digit_image(d) for d in y])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)

X, Y = digit_set(1200)
Xv, Yv = digit_set(300)
mu, sd = X.mean(), X.std()
X, Xv = (X - mu) / sd, (Xv - mu) / sd
print(X.shape, Xv.shape, Y.bincount().tolist())


# In[3]:

def vgg(plan, n_classes):
    layers, c = [], 1
    for v in plan:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, v, 3, padding=1), nn.ReLU()]
            c = v
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, n_classes))

def init_weights(m):
    if isinstance(m, nn.Conv2d):
        n = m.kernel_size[0] * m.kernel_size[1] * m.in_channels
        m.weight.data.normal_(0, 2.0 / n)
        m.bias.data.zero_()

model = vgg([12, "M", 24, 24, "M", 32, 32, "M"], 10)
model.apply(init_weights)


# In[4]:

opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, [5], gamma=0.2)
loss_fn = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(X, Y), batch_size=32, shuffle=True, drop_last=True)

history = []
for epoch in range(6):
    model.train()
    for xb, yb in loader:
        opt.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        opt.step()
        history.append(loss.item())
    sched.step()
    print("epoch", epoch, "mean loss", round(float(np.mean(history[-len(loader):])), 3))


# In[5]:

model.eval()
with torch.no_grad():
    pred = torch.cat([model(b).argmax(1) for b in Xv.split(100)])
print(f"accuracy: {(pred == Yv).float().mean().item():.3f}")
