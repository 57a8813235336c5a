#!/usr/bin/env python
# coding: utf-8

# # Eurocenten herkennen
# Een klein netwerk dat de waarde van een munt leest uit een foto van 32x32 pixels.

# In[1]:

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(2024)
tmp = tempfile.TemporaryDirectory(prefix="munten_")
basis = Path(tmp.name)


# ## De foto's
# Eén map per waarde: `train/1`, `train/2`, `train/5`, ...

# In[2]:

STRAAL = {1: 7.0, 2: 8.6, 5: 10.2, 10: 8.2, 20: 9.8, 50: 11.4}


def foto(waarde, rng, n=32):
    y, x = np.mgrid[:n, :n].astype(float)
    cy, cx = n / 2 + rng.uniform(-3, 3, 2)
    r = np.hypot(y - cy, x - cx)
    hoek = np.arctan2(y - cy, x - cx) + rng.uniform(0, 2 * np.pi)
    straal = STRAAL[waarde] * rng.uniform(0.95, 1.05)
    kleur = np.array([0.72, 0.42, 0.28] if waarde < 10 else [0.78, 0.66, 0.3])
    kleur = kleur + rng.normal(0, 0.05, 3)
    tafel = rng.uniform(0.2, 0.9) + rng.normal(0, 0.05, 3)
    munt = (1 / (1 + np.exp((r - straal) * 2.5)))[..., None]
    relief = 0.12 * np.cos(12 * hoek) * (r > straal * 0.7) + 0.1 * (np.abs(r - straal * 0.6) < 0.8)
    licht = rng.uniform(0.7, 1.15) * (1 + 0.012 * rng.normal() * (x - n / 2))
    beeld = munt * (kleur + relief[..., None]) + (1 - munt) * tafel
    beeld = beeld * licht[..., None] + rng.normal(0, 0.06, beeld.shape)
    return Image.fromarray((np.clip(beeld, 0, 1) * 255).astype(np.uint8))


rng = np.random.default_rng(7)
for deel, per_waarde in [("train", 230), ("test", 80)]:
    for waarde in STRAAL:
        map_ = basis / deel / str(waarde)
        map_.mkdir(parents=True)
        for i in range(per_waarde):
            foto(waarde, rng).save(map_ / f"{i:04d}.png")


# In[3]:

class Muntenmap(Dataset):
    """Leest alle foto's onder een map; de klasse is de plaats van de submap in `klassen`."""

    def __init__(self, map_, klassen):
        self.klassen = klassen
        self.paden, self.labels, beelden = [], [], []
        for k, naam in enumerate(klassen):
            for pad in sorted((map_ / naam).glob("*.png")):
                self.paden.append(pad)
                self.labels.append(k)
                beelden.append(np.asarray(Image.open(pad)))
        self.x = torch.from_numpy(np.stack(beelden)).permute(0, 3, 1, 2).float() / 255

    def __len__(self):
        return len(self.paden)

    def __getitem__(self, i):
        return self.x[i], self.labels[i]


mappen = [p.name for p in (basis / "train").iterdir() if p.is_dir()]
alles = Muntenmap(basis / "train", sorted(mappen, key=int))
train, val = random_split(alles, [0.85, 0.15], generator=torch.Generator().manual_seed(1))
gem = alles.x[train.indices].mean((0, 2, 3))
std = alles.x[train.indices].std((0, 2, 3))
train_dl = DataLoader(train, batch_size=46, shuffle=True, drop_last=True)
val_dl = DataLoader(val, batch_size=256)
len(train), len(val)


# ## Netwerk

# In[4]:

class Munten(nn.Module):
    def __init__(self, gem, std, klassen):
        super().__init__()
        self.register_buffer("gem", gem.view(1, 3, 1, 1))
        self.register_buffer("std", std.view(1, 3, 1, 1))
        self.romp = nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.SiLU(),
        )
        self.kop = nn.Linear(32, klassen)

    def forward(self, x):
        x = self.romp((x - self.gem) / self.std)
        return self.kop(x.mean((2, 3)))


def nauwkeurigheid(net, dl):
    net.eval()
    goed = 0
    with torch.no_grad():
        for x, y in dl:
            goed += (net(x).argmax(1) == y).sum().item()
    return goed / len(dl.dataset)


# In[5]:

net = Munten(gem, std, len(STRAAL))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
epochs = 9
plan = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=epochs * len(train_dl))
verlies = nn.CrossEntropyLoss()
for epoch in range(epochs):
    net.train()
    som = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        fout = verlies(net(x), y)
        fout.backward()
        opt.step()
        plan.step()
        som += fout.item()
    print(f"{epoch + 1:2d}  verlies {som / len(train_dl):.3f}  validatie {nauwkeurigheid(net, val_dl):.3f}")


# ## Test
# De waarden van klein naar groot, zodat de tabel goed leest.

# In[6]:

mappen = sorted((p.name for p in (basis / "test").iterdir()), key=int)
test = Muntenmap(basis / "test", mappen)
test_dl = DataLoader(test, batch_size=80)  # precies één waarde per batch
with torch.no_grad():
    for naam, (x, y) in zip(mappen, test_dl):
        net.eval()
        print(f"{naam:>3} cent: {(net(x).argmax(1) == y).float().mean().item():.3f}")
print(f"nauwkeurigheid op de testfoto's {nauwkeurigheid(net, test_dl):.4f}")
