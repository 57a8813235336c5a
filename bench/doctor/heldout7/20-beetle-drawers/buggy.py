#!/usr/bin/env python
# coding: utf-8

# # Beetles from the museum drawers
# Each pinned beetle was photographed a few times under the stand. Which species is it?

# In[1]:

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(7)
rng = np.random.default_rng(7)

SPECIES = ["carabus", "cetonia", "chrysomela", "leptura", "silpha"]
SPECIMENS, SHOTS, SIDE = 150, 5, 32


# In[2]:
# Wing cases: an ellipse with a ground colour, spots of the individual, and cross bands whose
# number and slant differ a little between the species.

yy, xx = np.mgrid[-1:1:SIDE * 1j, -1:1:SIDE * 1j]


def individual(species):
    return dict(
        ground=rng.uniform(0.4, 0.9, 3), ink=rng.uniform(0.0, 0.3, 3),
        bands=1.4 + 0.55 * species + rng.normal(0, 0.13), slant=rng.uniform(-0.4, 0.4), phase=rng.uniform(0, 6.3),
        length=rng.uniform(0.75, 0.95), breadth=rng.uniform(0.45, 0.75),
        spots=rng.uniform(-0.7, 0.7, (rng.integers(2, 7), 2)), spot=rng.uniform(0.1, 0.22), tint=rng.uniform(0, 1, 3),
        card=rng.uniform(0.5, 1.0, 3))


def photograph(b):
    dx, dy = rng.uniform(-0.12, 0.12, 2)
    x, y = xx - dx, yy - dy
    img = np.ones((SIDE, SIDE, 3)) * b["card"]
    body = (x / b["breadth"]) ** 2 + (y / b["length"]) ** 2 < 1
    band = np.sin(2 * np.pi * b["bands"] * (y + b["slant"] * np.abs(x)) + b["phase"]) > 0.2
    img[body] = b["ground"]
    img[body & band] = b["ink"]
    for sx, sy in b["spots"]:
        img[body & ((x - sx) ** 2 + (y - sy) ** 2 < b["spot"] ** 2)] = b["tint"]
    img = img * rng.uniform(0.85, 1.1) + rng.normal(0, 0.04, img.shape)
    return img.clip(0, 1).transpose(2, 0, 1)


# In[3]:

shots, species, specimen = [], [], []
for n in range(SPECIMENS):
    beetle = individual(n % len(SPECIES))
    for _ in range(SHOTS):
        shots.append(photograph(beetle))
        species.append(n % len(SPECIES))
        specimen.append(n)
images = torch.tensor(np.stack(shots), dtype=torch.float32)
species, specimen = torch.tensor(species), torch.tensor(specimen)
print(len(images), "photographs of", len(specimen.unique()), "beetles")


# In[4]:
# A quarter is held back.

order = torch.randperm(len(images))
held = torch.isin(torch.arange(len(images)), order[:len(images) // 4])
x_train, y_train = images[~held], species[~held]
x_test, y_test = images[held], species[held]

mean, std = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std


# In[5]:

net = nn.Sequential(
    nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(48, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 16, len(SPECIES)))
optimizer = torch.optim.Adam(net.parameters(), lr=1.5e-3)

BATCH, EPOCHS = 36, 8
for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(BATCH):
        xb = x_train[idx]
        if torch.rand(()) < 0.5:
            xb = xb.flip(3)
        loss = F.cross_entropy(net(xb), y_train[idx])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    print("epoch", epoch, "loss", round(running / len(x_train), 4))


# In[6]:

net.eval()
with torch.no_grad():
    guess = net(x_test).argmax(1)
print(f"accuracy: {(guess == y_test).float().mean():.3f}")
