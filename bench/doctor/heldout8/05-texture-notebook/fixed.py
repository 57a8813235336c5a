#!/usr/bin/env python
# coding: utf-8

# # Surface textures
# Eight kinds of surface, grey images of 32x32 pixels, small depthwise network.

# In[1]:


import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
_ = torch.manual_seed(42)


# In[2]:


params = {
    "width": 24,
    "keep_prob": 0.85,
    "lr": 4e-3,
    "epochs": 6,
    "batch": 64,
}
names = ["stripes", "checker", "dots", "rings", "noise", "bricks", "diagonal", "gradient"]


# In[3]:


def texture(kind, rng):
    y, x = np.mgrid[:32, :32].astype(float)
    px, py = rng.uniform(0, 8, 2)
    x, y = x + px, y + py
    s = rng.uniform(5, 8)
    if kind == "stripes":
        t = np.sin(2 * np.pi * x / s)
    elif kind == "checker":
        t = np.sign(np.sin(2 * np.pi * x / s) * np.sin(2 * np.pi * y / s))
    elif kind == "dots":
        t = 2.0 * (np.hypot(x % s - s / 2, y % s - s / 2) < s / 3.4) - 1
    elif kind == "rings":
        t = np.sin(2 * np.pi * np.hypot(x - 20, y - 20) / s)
    elif kind == "noise":
        t = np.kron(rng.uniform(-1, 1, (16, 16)), np.ones((2, 2)))
    elif kind == "bricks":
        row = np.floor(y / s)
        t = 1 - 2.0 * ((y % s < 1.2) | ((x + row * s) % (2 * s) < 1.2))
    elif kind == "diagonal":
        t = np.sin(2 * np.pi * (x + y) / (1.4 * s))
    else:
        a = rng.uniform(0, 2 * np.pi)
        t = ((x - 20) * np.cos(a) + (y - 20) * np.sin(a)) / 16
    return rng.uniform(0.3, 0.7) + rng.uniform(0.15, 0.3) * t + rng.normal(0, 0.1, t.shape)


def make(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(names))
    x = np.stack([texture(names[k], rng) for k in y]).astype(np.float32)[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


x_train, y_train = make(1600, 0)
x_test, y_test = make(400, 1)
mu, sigma = x_train.mean(), x_train.std()
train_dl = DataLoader(TensorDataset((x_train - mu) / sigma, y_train), params["batch"], shuffle=True)
test_dl = DataLoader(TensorDataset((x_test - mu) / sigma, y_test), 200)
x_train.shape, x_test.shape


# In[4]:


class Separable(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.depth = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.bn1 = nn.BatchNorm2d(cin)
        self.point = nn.Conv2d(cin, cout, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.relu(self.bn1(self.depth(x)))
        return F.relu(self.bn2(self.point(x)))


class TextureNet(nn.Module):
    def __init__(self, width, keep_prob, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.block1 = Separable(width, 2 * width)
        self.block2 = Separable(2 * width, 2 * width, stride=2)
        self.fc1 = nn.Linear(2 * width * 4 * 4, 64)
        self.fc2 = nn.Linear(64, classes)
        self.drop = nn.Dropout(1 - keep_prob)

    def forward(self, x):
        x = self.block2(self.block1(self.stem(x)))
        x = F.avg_pool2d(x, 2).flatten(1)
        x = self.drop(x)
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


net = TextureNet(params["width"], params["keep_prob"], len(names)).to(device)
sum(p.numel() for p in net.parameters())


# In[5]:


opt = torch.optim.RMSprop(net.parameters(), lr=params["lr"] / 4)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.8)

for epoch in range(params["epochs"]):
    net.train()
    total = 0.0
    for xb, yb in train_dl:
        xb, yb = xb.to(device), yb.to(device)
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    sched.step()
    print(f"epoch {epoch + 1}  loss {total / len(x_train):.4f}")


# In[6]:


net.eval()
right = 0
with torch.no_grad():
    for xb, yb in test_dl:
        right += (net(xb.to(device)).argmax(1).cpu() == yb).sum().item()
print(f"accuracy: {right / len(y_test):.3f}")
