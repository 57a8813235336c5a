#!/usr/bin/env python
# coding: utf-8

# # Bird calls as spectrogram images
# Five call types, soft targets and mixup. Exported from `calls_mixup.ipynb`.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = 4
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)

CALLS = ["rising", "falling", "trill", "harmonic", "warble"]
BANDS, FRAMES = 24, 32


# ## Synthetic spectrograms (bands x frames)

# In[2]:

def spectrogram(call):
    t = np.linspace(0, 1, FRAMES)[None]
    f = np.arange(BANDS)[:, None]
    base, width = rng.uniform(8, 15), rng.uniform(0.8, 1.4)
    span = rng.uniform(4, 8)
    onset, length = rng.uniform(0, 0.3), rng.uniform(0.5, 0.7)
    u = (t - onset) / length
    gate = ((u > 0) & (u < 1)).astype(float)

    def line(track, amp=1.0):
        return amp * np.exp(-((f - track) / width) ** 2) * gate

    if call == 0:
        s = line(base + span * (u - 0.5))
    elif call == 1:
        s = line(base - span * (u - 0.5))
    elif call == 2:
        s = line(base + 0 * u) * (np.sin(2 * np.pi * rng.uniform(4, 7) * u) > 0)
    elif call == 3:
        gap = rng.uniform(4, 6)
        s = line(base - gap + 0 * u) + line(base + 0 * u, 0.7) + line(base + gap + 0 * u, 0.5)
    else:
        s = line(base + 0.5 * span * np.sin(2 * np.pi * rng.uniform(1.5, 2.5) * u))
    s = s * rng.uniform(0.6, 1.3)
    s = s + rng.gamma(2.0, 0.14, s.shape)                      # rain and wind
    return np.log(s + 0.05)


def record(n):
    labels = rng.integers(0, len(CALLS), n)
    return np.stack([spectrogram(c) for c in labels]).astype(np.float32)[:, None], labels


x_train, c_train = record(900)
x_val, c_val = record(250)
x_test, c_test = record(500)

m, s = x_train.mean(), x_train.std()
x_train, x_val, x_test = [torch.from_numpy((x - m) / s) for x in (x_train, x_val, x_test)]
c_val, c_test = torch.from_numpy(c_val), torch.from_numpy(c_test)
y_train = F.one_hot(torch.from_numpy(c_train), len(CALLS)).float()
x_train.shape, y_train.shape


# ## Network

# In[3]:

class CallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.n1, self.n2 = nn.GroupNorm(4, 16), nn.GroupNorm(4, 32)
        self.out = nn.Linear(32 * (BANDS // 4) * (FRAMES // 4), len(CALLS))

    def forward(self, x):
        x = F.max_pool2d(F.silu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.silu(self.n2(self.c2(x))), 2)
        return self.out(x.flatten(1))


net = CallNet()
opt = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.1, total_iters=12)


# ## Training
# The set is small enough to sit in memory, so it is reshuffled as a whole before each pass and
# read in slices.

# In[4]:

def evaluate(x, c):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == c).float().mean().item()


ALPHA, BATCH = 0.4, 50

for epoch in range(12):
    net.train()
    perm = torch.randperm(len(x_train))
    x_train, y_train = x_train[perm], y_train[perm]
    losses = []
    for i in range(0, len(x_train), BATCH):
        xb, yb = x_train[i:i + BATCH], y_train[i:i + BATCH]
        lam = float(rng.beta(ALPHA, ALPHA))
        j = torch.randperm(len(xb))
        x_other, y_other = xb[j], yb[j]
        xb = lam * xb + (1 - lam) * x_other
        yb.mul_(lam).add_(y_other, alpha=1 - lam)

        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
    print(f"epoch {epoch + 1:2d}  mixup loss {np.mean(losses):.3f}  val acc {evaluate(x_val, c_val):.3f}")


# In[5]:

print(f"test acc {evaluate(x_test, c_test):.4f}")
