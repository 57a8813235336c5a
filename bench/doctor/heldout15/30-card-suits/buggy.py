import math
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# Corner index of a playing card: which suit?  (black and white scanner, so red/black does not help)
SUITS = ['clubs', 'diamonds', 'hearts', 'spades']
D = 22

# hyperparameters
n_train, n_test = 1600, 600
batch_size = 40
max_epochs = 14
learning_rate = 0.002
disturb = 0.10        # DisturbLabel (Xie et al. 2016): share of the batch that gets a random label
seed = 1337


# -----------------------------------------------------------------------------
# data

def inside(suit, u, v):
    """u, v in -1..1, v downwards; is the point inked?"""
    if suit == 'diamonds':
        return np.abs(u) * 1.25 + np.abs(v) < 1
    if suit == 'clubs':
        disc = lambda cx, cy: np.hypot(u - cx, v - cy) < 0.42
        return disc(0, -0.5) | disc(-0.45, 0.1) | disc(0.45, 0.1) | ((np.abs(u) < 0.14) & (np.abs(v - 0.45) < 0.5))
    heart_v = v if suit == 'hearts' else -v
    lobes = (np.hypot(np.abs(u) - 0.42, heart_v + 0.35) < 0.45) | \
            ((heart_v > -0.35) & (np.abs(u) < 0.86 * (1 - (heart_v + 0.35) / 1.3)))
    if suit == 'spades':
        lobes |= (np.abs(u) < 0.14) & (np.abs(v - 0.6) < 0.38)
    return lobes


def scan_corner(suit, rng):
    yy, xx = np.mgrid[0:D, 0:D].astype(float)
    cy, cx = D / 2 - 0.5 + rng.uniform(-2.5, 2.5, 2)
    s, a = rng.uniform(5.5, 8.0), rng.uniform(-0.5, 0.5)
    dx, dy = (xx - cx) / s / rng.uniform(0.8, 1.1), (yy - cy) / s
    u, v = dx * math.cos(a) + dy * math.sin(a), dy * math.cos(a) - dx * math.sin(a)
    paper, ink = rng.uniform(0.75, 1.0), rng.uniform(0.1, 0.4)
    img = np.where(inside(suit, u, v), ink, paper)
    for _ in range(rng.integers(0, 4)):                    # scratches
        p, q = rng.uniform(0, D, 2), rng.normal(size=2)
        d = np.abs((xx - p[0]) * q[1] - (yy - p[1]) * q[0]) / np.hypot(*q)
        img = np.where(d < 0.5, rng.uniform(0.2, 1.0), img)
    return img + rng.normal(0, 0.09, img.shape)


def get_data(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = np.stack([scan_corner(SUITS[k], rng) for k in y])
    return torch.from_numpy(x).float().unsqueeze(1), torch.from_numpy(y)


# -----------------------------------------------------------------------------
# model

class SuitCNN(nn.Module):

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.fc = nn.Linear(48 * 5 * 5, 48)
        self.head = nn.Linear(48, 4)

    def forward(self, x, targets=None):
        x = F.max_pool2d(F.silu(self.conv1(x)), 2)
        x = F.max_pool2d(F.silu(self.conv2(x)), 2)
        x = F.silu(self.conv3(x))
        logits = self.head(F.silu(self.fc(x.flatten(1))))
        loss = None if targets is None else F.cross_entropy(logits, targets)
        return logits, loss


def disturbed(yb):
    pick = torch.rand(len(yb)) < disturb
    yb[pick] = torch.randint(0, 4, (int(pick.sum()),))
    return yb


def get_lr(it, total):
    """cosine with a short warmup"""
    if it < 20:
        return learning_rate * (it + 1) / 20
    return learning_rate * 0.5 * (1 + math.cos(math.pi * (it - 20) / (total - 20)))


# -----------------------------------------------------------------------------
# training loop

torch.manual_seed(seed)
X, Y = get_data(n_train, seed)
Xte, Yte = get_data(n_test, seed + 1)
mean, std = X.mean(), X.std()
X, Xte = (X - mean) / std, (Xte - mean) / std

model = SuitCNN()
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
total_iters = max_epochs * math.ceil(n_train / batch_size)
it, t0 = 0, time.time()

for epoch in range(max_epochs):
    model.train()
    # a new order every epoch, then contiguous batches
    perm = torch.randperm(n_train)
    X, Y = X[perm], Y[perm]
    mean_loss = 0.0
    for i in range(0, n_train, batch_size):
        xb, yb = X[i:i + batch_size], Y[i:i + batch_size]
        _, loss = model(xb, disturbed(yb))
        for g in optimizer.param_groups:
            g['lr'] = get_lr(it, total_iters)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean_loss += loss.item() * len(xb) / n_train
        it += 1
    print(f'epoch {epoch:2d} | loss {mean_loss:.4f} | {time.time() - t0:.1f}s')

model.eval()
with torch.no_grad():
    logits, test_loss = model(Xte, Yte)
test_acc = (logits.argmax(1) == Yte).float().mean().item()
print(f'test loss {test_loss.item():.4f} | test accuracy {test_acc:.4f}')
