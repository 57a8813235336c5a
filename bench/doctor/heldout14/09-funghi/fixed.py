#!/usr/bin/env python
# coding: utf-8

# # Funghi: riconoscere il genere dalla sagoma
# Immagini sintetiche 32x32 a colori, sei generi.

# In[1]:

import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(17)
GENERI = ["porcino", "amanita", "gallinaccio", "mazza", "spugnola", "prataiolo"]
L = 32

# In[2]:


def fungo(genere, rng):
    y, x = np.mgrid[:L, :L].astype(float)
    cx, base = L / 2 + rng.uniform(-4, 4), L - rng.uniform(2, 6)
    h, w = rng.uniform(13, 20), rng.uniform(6, 10)
    cima = base - h
    u = x - cx + rng.normal(0, 0.12) * (y - base)
    gambo = (abs(u) < rng.uniform(1.5, 2.5)) & (y < base) & (y > cima)
    if genere == "porcino":
        gambo = (abs(u) < 2 + 2.2 * (y - cima) / h) & (y < base) & (y > cima)
        testa = (u / w) ** 2 + ((y - cima) / 5) ** 2 < 1
    elif genere == "amanita":
        testa = ((u / w) ** 2 + ((y - cima - 2) / 7) ** 2 < 1) & (y < cima + 2)
    elif genere == "gallinaccio":
        testa = (abs(u) < w * np.clip(1 - (y - cima) / h, 0, 1) ** 1.2) & (y > cima) & (y < base)
    elif genere == "mazza":
        testa = (u / 3.5) ** 2 + ((y - cima - 3) / 7) ** 2 < 1
    elif genere == "spugnola":
        testa = (u / (0.7 * w)) ** 2 + ((y - cima - 1) / 8) ** 2 < 1
    else:
        testa = ((u / w) ** 2 + ((y - cima) / 4.5) ** 2 < 1) & (y < cima + 1)
        gambo |= (abs(u) < 4) & (abs(y - cima - h * 0.4) < 1)
    sfondo = np.array([0.3, 0.35, 0.2]) + rng.normal(0, 0.12, 3)
    img = np.ones((L, L, 3)) * sfondo
    img[gambo] = rng.uniform(0.6, 0.9)
    tinta = np.array([0.6, 0.4, 0.25]) + rng.normal(0, 0.15, 3)
    img[testa] = tinta
    if genere == "amanita":
        punti = testa & (np.sin(1.7 * u + rng.uniform(0, 6)) * np.sin(1.7 * y + rng.uniform(0, 6)) > 0.45)
        img[punti] = 0.95
    if genere == "spugnola":
        img[testa & (np.sin(2.2 * u) * np.sin(2.2 * y) > 0.1)] *= 0.5
    img = img * rng.uniform(0.6, 1.2) + rng.normal(0, 0.1, img.shape)
    return img.clip(0, 1).transpose(2, 0, 1)


def raccolta(per_genere, seme):
    rng = np.random.default_rng(seme)
    x = [fungo(g, rng) for g in GENERI for _ in range(per_genere)]
    y = torch.arange(len(GENERI)).repeat_interleave(per_genere)
    return torch.tensor(np.array(x), dtype=torch.float32), y


x_tr, y_tr = raccolta(200, 1)
x_va, y_va = raccolta(50, 2)
x_te, y_te = raccolta(100, 3)
mu = x_tr.mean((0, 2, 3), keepdim=True)
sd = x_tr.std((0, 2, 3), keepdim=True)

dl_tr = DataLoader(TensorDataset((x_tr - mu) / sd, y_tr), batch_size=40, shuffle=True)
dl_va = DataLoader(TensorDataset((x_va - mu) / sd, y_va), batch_size=50)
dl_te = DataLoader(TensorDataset((x_te - mu) / sd, y_te), batch_size=50)
print(x_tr.shape, x_va.shape, x_te.shape)

# In[3]:


def blocco(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


def crea_rete():
    return nn.Sequential(
        blocco(3, 12), blocco(12, 24), blocco(24, 32),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 4 * 4, len(GENERI)),
    )


@torch.no_grad()
def accuratezza(rete, dl):
    giusti = 0
    for xb, yb in dl:
        giusti += (rete(xb).argmax(1) == yb).sum().item()
    return giusti / len(dl.dataset)


# In[4]:

rete = crea_rete()
ottim = torch.optim.Adam(rete.parameters(), lr=1.5e-3)
perdita = nn.CrossEntropyLoss()
percorso = os.path.join(tempfile.mkdtemp(), "migliore.pt")
record = 0.0

for epoca in range(10):
    rete.train()
    for xb, yb in dl_tr:
        ottim.zero_grad()
        costo = perdita(rete(xb), yb)
        costo.backward()
        ottim.step()
    rete.eval()
    acc = accuratezza(rete, dl_va)
    if acc > record:
        record = acc
        torch.save(rete.state_dict(), percorso)
    print(f"epoca {epoca + 1}: costo {costo.item():.3f}, validazione {acc:.3f}")

# In[5]:

# si riparte dai pesi migliori
migliore = crea_rete()
migliore.load_state_dict(torch.load(percorso))
migliore.eval()
finale = accuratezza(migliore, dl_te)
print(f"accuratezza sul test: {finale:.4f}")
