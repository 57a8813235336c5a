#!/usr/bin/env python
# coding: utf-8

# # Leaf species from burst photographs
#
# The phone takes a burst of four frames of every specimen. We draw stand-ins for the photographs here
# so that the notebook runs anywhere.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

rng = np.random.default_rng(2024)
torch.manual_seed(2024)
device = "cuda" if torch.cuda.is_available() else "cpu"

SPECIES = ["birch", "oak", "willow", "maple"]
N_SPECIMENS, FRAMES, SIZE = 280, 4, 32


# In[2]:

def sample_specimen(species):
    base = [(0.56, 3, 0.12), (0.58, 5, 0.18), (0.36, 3, 0.10), (0.76, 5, 0.18)][species]
    return dict(
        aspect=base[0] + rng.normal(0, 0.04),
        lobes=base[1],
        depth=max(0.0, base[2] + rng.normal(0, 0.03)),
        angle=np.pi / 2 + rng.normal(0, 0.15),
        leaf=rng.uniform((30, 70, 20), (110, 150, 90)),
        ground=rng.uniform(170, 235, 3),
        centre=rng.uniform(14, 18, 2),
        length=rng.uniform(10, 13),
        spots=rng.uniform(4, 28, (3, 2)),
    )


def photograph(s):
    im = Image.new("RGB", (SIZE * 2, SIZE * 2), tuple(int(v) for v in s["ground"]))
    d = ImageDraw.Draw(im)
    shift = rng.normal(0, 0.5, 2)
    turn = s["angle"] + rng.normal(0, 0.04)
    t = np.linspace(0, 2 * np.pi, 60)
    r = 1 + s["depth"] * np.cos(2 * s["lobes"] * t)
    x, y = s["length"] * r * np.cos(t), s["length"] * s["aspect"] * r * np.sin(t)
    px = s["centre"][0] + shift[0] + x * np.cos(turn) - y * np.sin(turn)
    py = s["centre"][1] + shift[1] + x * np.sin(turn) + y * np.cos(turn)
    d.polygon([(2 * a, 2 * b) for a, b in zip(px, py)], fill=tuple(int(v) for v in s["leaf"]))
    for a, b in s["spots"] + shift:
        d.ellipse((2 * a - 2, 2 * b - 2, 2 * a + 2, 2 * b + 2), fill=(30, 30, 30))
    im = im.resize((SIZE, SIZE), Image.BILINEAR)
    out = np.asarray(im, dtype=np.float32) * rng.uniform(0.93, 1.07) + rng.normal(0, 5, (SIZE, SIZE, 3))
    return np.clip(out, 0, 255).astype(np.uint8)


images, labels, specimen = [], [], []
for k in range(N_SPECIMENS):
    traits = sample_specimen(k % len(SPECIES))
    for _ in range(FRAMES):
        images.append(photograph(traits))
        labels.append(k % len(SPECIES))
        specimen.append(k)
images, labels, specimen = np.stack(images), np.array(labels), np.array(specimen)
print(images.shape, "photographs of", len(np.unique(specimen)), "specimens")


# In[3]:

# hold back a quarter for testing
held_back = rng.permutation(len(images))[: len(images) // 4]
is_test = np.isin(np.arange(len(images)), held_back)

X = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
Y = torch.from_numpy(labels)
test_mask = torch.from_numpy(is_test)
X_train, Y_train = X[~test_mask], Y[~test_mask]
X_test, Y_test = X[test_mask], Y[test_mask]
mean, std = X_train.mean((0, 2, 3), keepdim=True), X_train.std((0, 2, 3), keepdim=True)
X_train, X_test = (X_train - mean) / std, (X_test - mean) / std
print(len(X_train), "train,", len(X_test), "test")


# In[4]:

class LeafNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.b3 = nn.BatchNorm2d(64)
        self.out = nn.Linear(64 * 4 * 4, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        x = F.max_pool2d(F.relu(self.b3(self.c3(x))), 2)
        return self.out(x.flatten(1))


net = LeafNet(len(SPECIES)).to(device)
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
EPOCHS, BATCH = 6, 36
steps = EPOCHS * (len(X_train) // BATCH)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=steps)


# In[5]:

for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(X_train))
    total = 0.0
    for i in range(len(X_train) // BATCH):
        idx = order[i * BATCH:(i + 1) * BATCH]
        loss = F.cross_entropy(net(X_train[idx].to(device)), Y_train[idx].to(device))
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item()
    print("epoch", epoch + 1, "loss", round(total / (len(X_train) // BATCH), 3))


# In[6]:

net.eval()
with torch.no_grad():
    pred = torch.cat([net(b.to(device)).argmax(1).cpu() for b in X_test.split(100)])
print(f"accuracy: {(pred == Y_test).float().mean().item():.3f}")
