#!/usr/bin/env python
# coding: utf-8

# # Reconnaître les arbres à leurs feuilles
# Un dossier par essence ; `train/` (herbier) et `test/` (récolte de l'automne).

# In[1]:


import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

torch.set_num_threads(1)
torch.manual_seed(42)
rng = np.random.default_rng(42)
T = 24


# In[2]:


# essence : (allongement, nombre de lobes, profondeur des lobes, dents)
ESSENCES = {
    "bouleau": (1.25, 1, 0.30, 0.06),
    "charme": (1.75, 0, 0.00, 0.05),
    "chene": (1.60, 4, 0.24, 0.00),
    "erable": (1.00, 5, 0.30, 0.00),
    "hetre": (1.35, 0, 0.00, 0.00),
    "saule": (3.20, 0, 0.00, 0.00),
    "tilleul": (1.05, 1, 0.15, 0.05),
}


def feuille(essence):
    allongement, lobes, profondeur, dents = ESSENCES[essence]
    y, x = np.mgrid[0:T, 0:T] - (T - 1) / 2
    y, x = y - rng.uniform(-2, 2), x - rng.uniform(-2, 2)
    phi = rng.normal(0, 0.35)
    y, x = y * np.cos(phi) + x * np.sin(phi), x * np.cos(phi) - y * np.sin(phi)
    k = allongement * rng.normal(1, 0.06)
    y, x = y / np.sqrt(k), x * np.sqrt(k)
    r, a = np.hypot(y, x), np.arctan2(x, -y)
    bord = rng.uniform(6.0, 7.6) * (1 + profondeur * np.cos(lobes * a) + dents * np.sign(np.sin(17 * a)))
    masque = 1 / (1 + np.exp(2.5 * (r - bord)))
    nervure = (np.abs(x) < 0.7) * (r < bord) * rng.uniform(15, 30)
    vert = np.array([rng.uniform(60, 150), rng.uniform(105, 155), rng.uniform(30, 60)])
    fond = np.full(3, rng.uniform(170, 235)) + rng.normal(0, 6, 3)
    img = fond * (1 - masque[..., None]) + (vert + nervure[..., None]) * masque[..., None]
    img = img * rng.uniform(0.85, 1.1) + rng.normal(0, 10, img.shape)
    return Image.fromarray(img.clip(0, 255).astype(np.uint8))


def remplir(dossier, effectifs):
    for essence, n in effectifs.items():
        (dossier / essence).mkdir(parents=True)
        for i in range(n):
            feuille(essence).save(dossier / essence / f"{i:04d}.png")


tmp = tempfile.TemporaryDirectory()
racine = Path(tmp.name)
remplir(racine / "train", dict(bouleau=230, charme=210, chene=240, erable=120, hetre=230, saule=200, tilleul=7))
remplir(racine / "test", dict(bouleau=75, charme=70, chene=80, erable=15, hetre=75, saule=65, tilleul=2))


# In[3]:


class Feuilles(Dataset):
    """Images d'un dossier par essence ; une essence trop rare (moins de `mini` images) est laissée de côté."""

    def __init__(self, dossier, classes=None, mini=20):
        dossiers = sorted(d for d in dossier.iterdir() if d.is_dir())
        if classes is None:
            classes = [d.name for d in dossiers if len(list(d.glob("*.png"))) >= mini]
        self.classes = classes
        self.images, self.cibles = [], []
        for d in dossiers:
            if d.name in classes:
                for f in sorted(d.glob("*.png")):
                    self.images.append(torch.from_numpy(np.array(Image.open(f))).permute(2, 0, 1) / 255)
                    self.cibles.append(classes.index(d.name))

    def __len__(self):
        return len(self.cibles)

    def __getitem__(self, i):
        return self.images[i], self.cibles[i]


herbier = Feuilles(racine / "train")
recolte = Feuilles(racine / "test", classes=herbier.classes)
tmp.cleanup()
appr, valid = random_split(herbier, [len(herbier) - 240, 240])
print(f"{len(herbier.classes)} essences, {len(appr)} images d'apprentissage, {len(valid)} de validation, {len(recolte)} de test")


# In[4]:


pixels = torch.stack([appr[i][0] for i in range(len(appr))])
moyenne, ecart = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))


class Normaliser(nn.Module):
    def __init__(self, m, s):
        super().__init__()
        self.register_buffer("m", m[:, None, None])
        self.register_buffer("s", s[:, None, None])

    def forward(self, x):
        return (x - self.m) / self.s


def bloc(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.1), nn.MaxPool2d(2))


modele = nn.Sequential(
    Normaliser(moyenne, ecart), bloc(3, 16), bloc(16, 32), bloc(32, 48),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 3 * 3, len(herbier.classes)),
)


# In[5]:


def exactitude(donnees):
    modele.eval()
    justes = 0
    with torch.no_grad():
        for x, y in DataLoader(donnees, batch_size=120):
            justes += (modele(x).argmax(1) == y).sum().item()
    return justes / len(donnees)


EPOQUES = 12
charge = DataLoader(appr, batch_size=48, shuffle=True, drop_last=True)
critere = nn.CrossEntropyLoss()
optim = torch.optim.SGD(modele.parameters(), lr=0.03, momentum=0.9)
plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, EPOQUES * len(charge))

for epoque in range(EPOQUES):
    modele.train()
    cumul = 0.0
    for x, y in charge:
        miroir = torch.rand(len(x), 1, 1, 1) < 0.5
        x = torch.where(miroir, x.flip(3), x)
        optim.zero_grad()
        perte = critere(modele(x), y)
        perte.backward()
        optim.step()
        plan.step()
        cumul += perte.item()
    print(f"époque {epoque + 1:2d} : perte {cumul / len(charge):.3f}, validation {exactitude(valid):.3f}")


# In[6]:


print(f"Récolte de l'automne, {len(recolte)} images, modèle de la dernière époque : {exactitude(recolte):.4f}")
