#!/usr/bin/env python
# coding: utf-8

# # Stamped part codes
# Pretrain on clean rendered letters (free), then adapt to the few photographs of letters stamped in metal.

# In[1]:

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

torch.set_num_threads(1)
torch.manual_seed(3)
rng = np.random.default_rng(3)
LETTERS = "AEHKMRSTX"
N = 24

# In[2]:


def glyph(letter):
    """Letter as a mask, with random size, slant and place."""
    font = ImageFont.load_default(size=int(rng.integers(40, 56)))
    im = Image.new("L", (N * 3, N * 3), 0)
    ImageDraw.Draw(im).text((N * 1.5 + rng.uniform(-6, 6), N * 1.5 + rng.uniform(-6, 6)), letter, 255, font, anchor="mm")
    im = im.rotate(rng.uniform(-12, 12), Image.BILINEAR)
    return np.asarray(im.resize((N, N), Image.BOX), np.float32) / 255


def clean(letter):
    return glyph(letter) * rng.uniform(.7, 1) + rng.normal(0, .05, (N, N))


def stamped(letter):
    """Only the edges of the stroke shine, lit from one side; brushed metal around it."""
    m = ndimage.gaussian_filter(glyph(letter), .7)
    a = rng.uniform(0, 2 * np.pi)
    relief = np.cos(a) * ndimage.sobel(m, 0) + np.sin(a) * ndimage.sobel(m, 1)
    brushed = ndimage.gaussian_filter(rng.normal(0, 1, (N, N)), (0.2, 2)) * .25
    return .5 + relief * rng.uniform(.2, .35) + brushed + rng.normal(0, .05, (N, N))


def dataset(draw, n):
    y = rng.permutation(np.arange(n) % len(LETTERS))
    x = np.stack([draw(LETTERS[i]) for i in y]).astype(np.float32)[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


def standardise(*parts):
    mean, std = parts[0][0].mean(), parts[0][0].std()
    return [((x - mean) / std, y) for x, y in parts]


src_train, src_val = standardise(dataset(clean, 1080), dataset(clean, 180))
tgt_train, tgt_val, tgt_test = standardise(dataset(stamped, 900), dataset(stamped, 270), dataset(stamped, 540))

# In[3]:


class LetterNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.block1 = self._block(1, 16)
        self.block2 = self._block(16, 32)
        self.block3 = self._block(32, 48)
        self.fc = nn.Linear(48 * 3 * 3, n_classes)

    @staticmethod
    def _block(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        x = self.block3(self.block2(self.block1(x)))
        return self.fc(x.flatten(1))


def accuracy(net, data):
    net.eval()
    with torch.no_grad():
        return (net(data[0]).argmax(1) == data[1]).float().mean().item()


def fit(net, train, val, epochs, lr):
    """Adam on whatever is trainable; returns the net with the weights of the best validation epoch."""
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)
    x, y = train
    best, kept = -1, None
    for epoch in range(epochs):
        net.train()
        total = 0
        for idx in torch.randperm(len(x)).split(36):
            opt.zero_grad()
            loss = F.cross_entropy(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        acc = accuracy(net, val)
        print(f"  epoch {epoch + 1}  loss {total / len(x):.3f}  val {acc:.3f}")
        if acc > best:
            best, kept = acc, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)
    return net


# In[4]:

print("pretraining on clean letters")
net = fit(LetterNet(len(LETTERS)), src_train, src_val, epochs=4, lr=2e-3)
print("stamped letters, as is:", round(accuracy(net, tgt_val), 3))

# In[5]: phase 1 - a new head on the frozen trunk

for p in net.parameters():
    p.requires_grad = False
net.fc = nn.Linear(net.fc.in_features, len(LETTERS))
print("phase 1: head only")
net = fit(net, tgt_train, tgt_val, epochs=2, lr=2e-3)

# In[6]: phase 2 - the trunk too, more gently

for block in (net.block1, net.block2, net.block3):
    block.requires_grad = True
print("phase 2: whole net")
net = fit(net, tgt_train, tgt_val, epochs=9, lr=1e-3)

# In[7]:

print("stamped letters, test accuracy:", round(accuracy(net, tgt_test), 4))
