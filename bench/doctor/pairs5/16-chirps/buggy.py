#!/usr/bin/env python
# coding: utf-8

# # Whistle types in spectrograms
# Six whistle contours (flat, up, down, hump, valley, trill) in 20 x 32 spectrogram snippets.
# Memory is tight on the field laptop, so we use micro-batches of 16 and accumulate eight of them.

# In[1]:

import math
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

rs = np.random.RandomState(33)
torch.manual_seed(33)

# In[2]: configuration

kinds = ['flat', 'up', 'down', 'hump', 'valley', 'trill']
n_freq, n_time = 20, 32
n_train, n_val, n_test = 1920, 300, 600

micro_batch = 16
accumulate = 8               # 128 snippets per update
epochs = 10
learning_rate = 2e-3
min_lr = 2e-5
warmup_iters = 10
lr_decay_iters = epochs * n_train // (micro_batch * accumulate)

# In[3]: data


def snippet(kind):
    t = np.linspace(-1, 1, n_time)
    slope = rs.uniform(3.0, 6.0)
    f = {'flat': 0 * t, 'up': slope * t, 'down': -slope * t, 'hump': slope * (0.4 - t ** 2) * 1.5, 'valley': -slope * (0.4 - t ** 2) * 1.5,
         'trill': 0.6 * slope * np.sin(2 * np.pi * rs.uniform(1.3, 1.9) * t + rs.uniform(0, 6.3))}[kind]
    f = f + rs.uniform(7.5, 12.5)
    bins = np.arange(n_freq)[:, None]
    line = np.exp(-0.5 * ((bins - f) / rs.uniform(0.6, 1.0)) ** 2)
    a, b = rs.uniform(-1, -0.75), rs.uniform(0.75, 1)
    line = line * ((t > a) & (t < b))
    hiss = rs.gamma(2.0, 0.12, (n_freq, n_time)) + 0.25 * rs.rand() * (1 - bins / n_freq)
    if rs.rand() < 0.5:                                       # a click
        hiss[:, rs.randint(n_time)] += rs.uniform(0.2, 0.6)
    return np.log(0.05 + hiss + rs.uniform(0.2, 0.5) * line)


def draw(n):
    y = rs.randint(len(kinds), size=n)
    x = np.array([snippet(kinds[k]) for k in y], dtype=np.float32)
    return torch.from_numpy(x[:, None]), torch.from_numpy(y)


X, Y = draw(n_train)
Xv, Yv = draw(n_val)
Xt, Yt = draw(n_test)
mu, sigma = X.mean(), X.std()
X, Xv, Xt = (X - mu) / sigma, (Xv - mu) / sigma, (Xt - mu) / sigma

# In[4]: model


def unit(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.GroupNorm(4, cout), nn.SiLU(), nn.MaxPool2d(2))


net = nn.Sequential(unit(1, 16), unit(16, 32), nn.Conv2d(32, 32, 3, padding=1), nn.SiLU(),
                    nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * (n_freq // 4) * (n_time // 4), len(kinds)))

weights = [p for p in net.parameters() if p.ndim > 1]
others = [p for p in net.parameters() if p.ndim <= 1]
optimizer = torch.optim.AdamW([{'params': weights, 'weight_decay': 0.02}, {'params': others, 'weight_decay': 0.0}], lr=learning_rate)


def get_lr(it):
    # 1) linear warmup  2) cosine decay down to min_lr  3) min_lr afterwards
    if it < warmup_iters:
        return learning_rate * (it + 1) / warmup_iters
    if it > lr_decay_iters:
        return min_lr
    ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
    return min_lr + 0.5 * (1 + math.cos(math.pi * ratio)) * (learning_rate - min_lr)


@torch.no_grad()
def accuracy(x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


# In[5]: training

it = 0
for epoch in range(epochs):
    net.train()
    order = torch.randperm(n_train)
    losses = []
    for step, rows in enumerate(order.split(micro_batch), 1):
        for group in optimizer.param_groups:
            group['lr'] = get_lr(it)
        loss = F.cross_entropy(net(X[rows]), Y[rows])
        (loss / accumulate).backward()
        losses.append(loss.item())
        if step % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        it += 1
    print(f'epoch {epoch:2d}: loss {np.mean(losses):.4f}, validation {accuracy(Xv, Yv):.3f}')

# In[6]: result

print('test accuracy', round(accuracy(Xt, Yt), 4))
