#!/usr/bin/env python
# coding: utf-8

# # Fabric weaves
#
# Which weave is it? Six weaves, microscope patches of 24 x 24 pixels.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)
torch.manual_seed(0)
rng = np.random.default_rng(0)


# ## Data

# In[2]:

WEAVES = ["plain", "twill", "satin", "rib", "basket", "herringbone"]
N = 24


def weave(name):
    y, x = np.mgrid[:N, :N] + rng.uniform(0, 40, 2)[:, None, None]
    t = rng.uniform(3.2, 4.6)                 # thread width
    i, j = x / t, y / t
    if name == "plain":
        p = np.sin(np.pi * i) * np.sin(np.pi * j)
    elif name == "twill":
        p = np.sin(np.pi * (i + j))
    elif name == "satin":
        p = np.where((np.floor(i) * 2 + np.floor(j)) % 5 == 0, 1.0, -0.4)
    elif name == "rib":
        p = np.sin(np.pi * j)
    elif name == "basket":
        p = np.sign(np.sin(np.pi * i / 2) * np.sin(np.pi * j / 2)) * (0.6 + 0.4 * np.sin(2 * np.pi * i))
    else:
        p = np.sin(np.pi * (j + np.abs((i % 4) - 2) * 1.2))
    img = rng.uniform(0.35, 0.65) + rng.uniform(0.06, 0.2) * p
    img += rng.uniform(-0.1, 0.1) * np.linspace(-1, 1, N)[:, None] + rng.normal(0, 0.13, (N, N))
    return np.clip(img, 0, 1)


def collect(n):
    y = np.arange(n) % len(WEAVES)
    rng.shuffle(y)
    x = np.stack([weave(WEAVES[k]) for k in y]).astype(np.float32)
    return x[:, None], y


x_train, y_train = collect(960)
x_val, y_val = collect(240)
x_test, y_test = collect(480)
MEAN, STD = float(x_train.mean()), float(x_train.std())
print(f"mean {MEAN:.3f}  std {STD:.3f}")


# In[3]:

class Patches(Dataset):
    def __init__(self, x, y, augment=False):
        self.x = x
        self.y = torch.as_tensor(y)
        self.augment = augment

    def __len__(self):
        return len(self.y)

    def __getitem__(self, idx):
        img = torch.from_numpy(self.x[idx])
        img.sub_(MEAN).div_(STD)
        if self.augment and torch.rand(1).item() < 0.5:
            img = torch.rot90(img, 2, dims=(1, 2))  # turned by 180 degrees, a weave stays itself
        return img, self.y[idx]


train_dl = DataLoader(Patches(x_train, y_train, augment=True), batch_size=32, shuffle=True)
val_dl = DataLoader(Patches(x_val, y_val), batch_size=120)
test_dl = DataLoader(Patches(x_test, y_test), batch_size=120)


# ## Model

# In[4]:

class WeaveNet(nn.Module):
    def __init__(self, n_out, width=16):
        super().__init__()
        self.c1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(width)
        self.c2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(2 * width)
        self.c3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.b3 = nn.BatchNorm2d(2 * width)
        self.out = nn.Linear(2 * width, n_out)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        x = F.relu(self.b3(self.c3(x)))
        return self.out(x.mean(dim=(2, 3)))


model = WeaveNet(len(WEAVES))
criterion = nn.CrossEntropyLoss()

# no decay for the one-dimensional parameters
matrices = [p for p in model.parameters() if p.ndim > 1]
vectors = [p for p in model.parameters() if p.ndim == 1]
optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 1e-2},
                               {"params": vectors, "weight_decay": 0.0}], lr=3e-3)
EPOCHS = 9
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)


# ## Training

# In[5]:

@torch.no_grad()
def evaluate(dl):
    model.eval()
    correct, loss = 0, 0.0
    for xb, yb in dl:
        out = model(xb)
        loss += criterion(out, yb).item() * len(yb)
        correct += (out.argmax(1) == yb).sum().item()
    return loss / len(dl.dataset), correct / len(dl.dataset)


history = []
for epoch in range(EPOCHS):
    model.train()
    train_loss = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(yb)
    scheduler.step()
    val_loss, val_acc = evaluate(val_dl)
    history.append((train_loss / len(train_dl.dataset), val_loss, val_acc))
    print(f"[{epoch + 1}/{EPOCHS}] train loss {history[-1][0]:.4f}  val loss {val_loss:.4f}  val acc {val_acc:.3f}")


# ## Result

# In[6]:

test_loss, test_acc = evaluate(test_dl)
print(f"test loss {test_loss:.4f}, test accuracy {test_acc:.4f}")
