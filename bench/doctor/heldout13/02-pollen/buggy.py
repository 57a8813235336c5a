#!/usr/bin/env python
# coding: utf-8

# # Pollen grains under the microscope
# Six morphological types, synthetic micrographs of 28 x 28 pixels.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = 4
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)
types = ["psilate", "trilobate", "echinate", "colpate", "bisaccate", "reticulate"]
n_side = 28

# In[2]:

def grain(kind):
    v, u = np.mgrid[0:n_side, 0:n_side] - (n_side - 1) / 2
    u, v = u - rng.uniform(-3, 3), v - rng.uniform(-3, 3)
    turn = rng.uniform(0, 2 * np.pi)
    u, v = u * np.cos(turn) + v * np.sin(turn), -u * np.sin(turn) + v * np.cos(turn)
    r, th = np.hypot(u, v), np.arctan2(v, u)
    radius = rng.uniform(6, 9)
    outline = np.full_like(r, radius)
    texture = np.zeros_like(r)
    if kind == "trilobate":
        outline = radius * (1 + 0.22 * np.cos(3 * th))
    elif kind == "echinate":
        outline = radius * (1 + 0.2 * np.cos(rng.integers(9, 12) * th))
    elif kind == "colpate":
        texture -= 0.35 * (np.abs(v) < 1.1) * (np.abs(u) < 0.8 * radius)
    elif kind == "bisaccate":
        outline = 0.75 * radius * np.ones_like(r)
    elif kind == "reticulate":
        f = rng.uniform(1.5, 1.9)
        texture += 0.25 * np.sign(np.sin(f * u)) * np.sign(np.sin(f * v))
    body = 1 / (1 + np.exp(2 * (r - outline)))
    if kind == "bisaccate":
        for sign in (-1, 1):
            sac = np.hypot(u - sign * 0.8 * radius, v)
            body = np.maximum(body, 0.8 / (1 + np.exp(2 * (sac - 0.5 * radius))))
    image = rng.uniform(0.7, 0.9) - rng.uniform(0.3, 0.5) * body * (1 + texture)
    image += rng.uniform(-0.1, 0.1) * u / n_side
    return image + rng.normal(0, 0.05, image.shape)


def collection(per_type):
    x = np.stack([grain(t) for t in types for _ in range(per_type)])[:, None]
    return torch.from_numpy(x).float(), torch.arange(len(types)).repeat_interleave(per_type)


x_train, y_train = collection(230)
x_val, y_val = collection(50)
x_test, y_test = collection(80)
mu, sigma = x_train.mean(), x_train.std()
x_train, x_val, x_test = ((x - mu) / sigma for x in (x_train, x_val, x_test))
print(x_train.shape, x_val.shape, x_test.shape)

# In[3]:

def dense(widths):
    layers = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers)


def conv(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


net = nn.Sequential(
    conv(1, 12),
    conv(12, 24),
    conv(24, 32),
    nn.Flatten(),
    dense([32 * 3 * 3, 64, len(types)]),
)
print(sum(p.numel() for p in net.parameters()), "parameters")

# In[4]:

epochs = 12
feed = DataLoader(TensorDataset(x_train, y_train), batch_size=46, shuffle=True)
opt = torch.optim.RMSprop(net.parameters(), lr=1.5e-3)
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.1, total_iters=epochs * len(feed))


def score(x, y):
    net.eval()
    with torch.no_grad():
        out = net(x)
    return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


# In[5]:

best_loss, best = float("inf"), None
for epoch in range(1, epochs + 1):
    net.train()
    running = 0.0
    for xb, yb in feed:
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item() * len(xb) / len(x_train)
    val_loss, val_acc = score(x_val, y_val)
    if val_loss < best_loss:
        best_loss, best = val_loss, {k: t.clone() for k, t in net.state_dict().items()}
    print(f"{epoch:3d} train {running:.3f} | val {val_loss:.3f} acc {val_acc:.3f}")

# In[6]:

net.load_state_dict(best)
test_loss, test_acc = score(x_test, y_test)
print(f"test loss {test_loss:.3f}, test accuracy {test_acc:.3f}")
