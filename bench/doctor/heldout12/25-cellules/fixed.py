# Tri de cellules au microscope : 4 types, images couleur 28x28 simulées.
# Réseau convolutif entraîné avec échauffement linéaire puis décroissance en cosinus.

import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

GRAINE = 5
TAILLE = 28
TYPES = ("ronde", "lobée", "fuseau", "granuleuse")
LOT = 40
EPOQUES = 9
TAUX = 5e-3
ECHAUFFEMENT = 60          # pas
DECROISSANCE = 2e-4


def dessiner(type_, rng):
    """Une cellule, dessinée en 3x puis réduite."""
    s = TAILLE * 3
    fond = tuple(int(rng.uniform(195, 245)) for _ in range(3))
    im = Image.new("RGB", (s, s), fond)
    d = ImageDraw.Draw(im)
    cx, cy = rng.uniform(0.36, 0.64, 2) * s
    r = rng.uniform(0.19, 0.29) * s
    teinte = np.array([rng.uniform(120, 190), rng.uniform(90, 160), rng.uniform(150, 215)])
    corps, noyau = tuple(teinte.astype(int)), tuple((teinte * rng.uniform(0.4, 0.6)).astype(int))
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=corps)
    if type_ == 0:
        q = r * rng.uniform(0.5, 0.7)
        d.ellipse([cx - q, cy - q, cx + q, cy + q], fill=noyau)
    elif type_ == 1:
        a0 = rng.uniform(0, 6.28)
        for k in range(3):
            a, q = a0 + k * rng.uniform(1.6, 2.3), r * rng.uniform(0.32, 0.42)
            x, y = cx + 0.5 * r * math.cos(a), cy + 0.5 * r * math.sin(a)
            d.ellipse([x - q, y - q, x + q, y + q], fill=noyau)
    elif type_ == 2:
        a, q, w = rng.uniform(0, 3.14), r * rng.uniform(0.7, 0.9), int(r * rng.uniform(0.35, 0.55))
        d.line([cx - q * math.cos(a), cy - q * math.sin(a), cx + q * math.cos(a), cy + q * math.sin(a)], fill=noyau, width=w)
    else:
        for _ in range(int(rng.integers(9, 15))):
            a, t, q = rng.uniform(0, 6.28), r * math.sqrt(rng.uniform(0, 0.7)), r * rng.uniform(0.1, 0.17)
            x, y = cx + t * math.cos(a), cy + t * math.sin(a)
            d.ellipse([x - q, y - q, x + q, y + q], fill=noyau)
    im = im.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 2.4))).resize((TAILLE, TAILLE), Image.BILINEAR)
    a = np.asarray(im, np.float32) / 255
    return a * rng.uniform(0.75, 1.1) + rng.normal(0, 0.05, a.shape)


def tirer(n, graine):
    rng = np.random.default_rng(graine)
    y = rng.integers(0, len(TYPES), n)
    x = np.stack([dessiner(t, rng) for t in y]).transpose(0, 3, 1, 2)
    return torch.tensor(np.clip(x, 0, 1), dtype=torch.float32), torch.tensor(y)


class Residuel(nn.Module):
    def __init__(self, entree, sortie):
        super().__init__()
        self.c1 = nn.Conv2d(entree, sortie, 3, stride=2, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(sortie)
        self.c2 = nn.Conv2d(sortie, sortie, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(sortie)
        self.raccourci = nn.Conv2d(entree, sortie, 1, stride=2)

    def forward(self, x):
        h = F.relu(self.n1(self.c1(x)))
        return F.relu(self.n2(self.c2(h)) + self.raccourci(x))


def reseau():
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        Residuel(12, 24), Residuel(24, 40),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(160, len(TYPES)),
    )


def retourner(x):
    """Symétries : une cellule n'a ni haut ni gauche."""
    if random.random() < 0.5:
        x = x.flip(3)
    if random.random() < 0.5:
        x = x.flip(2)
    return x


def rythme(pas, total):
    if pas < ECHAUFFEMENT:
        return (pas + 1) / ECHAUFFEMENT
    avance = (pas - ECHAUFFEMENT) / max(1, total - ECHAUFFEMENT)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * avance))


@torch.no_grad()
def justesse(modele, x, y):
    modele.eval()
    justes = 0
    for xb, yb in zip(x.split(200), y.split(200)):
        justes += int((modele(xb).argmax(dim=1) == yb).sum())
    return justes / len(y)


def principal():
    torch.set_num_threads(1)
    random.seed(GRAINE)
    torch.manual_seed(GRAINE)
    (xa, ya), (xv, yv), (xt, yt) = tirer(1000, 1), tirer(300, 2), tirer(400, 3)
    moyenne, ecart = xa.mean((0, 2, 3), keepdim=True), xa.std((0, 2, 3), keepdim=True)
    xa, xv, xt = [(x - moyenne) / ecart for x in (xa, xv, xt)]

    modele = reseau()
    avec = [p for p in modele.parameters() if p.ndim > 1]
    sans = [p for p in modele.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW([dict(params=avec, weight_decay=DECROISSANCE), dict(params=sans, weight_decay=0.0)], lr=TAUX)
    total = EPOQUES * (len(xa) // LOT)
    cadence = torch.optim.lr_scheduler.LambdaLR(opt, lambda pas: rythme(pas, total))

    for epoque in range(1, EPOQUES + 1):
        modele.train()
        somme = 0.0
        for indices in torch.randperm(len(xa)).split(LOT):
            opt.zero_grad()
            perte = F.cross_entropy(modele(retourner(xa[indices])), ya[indices])
            perte.backward()
            opt.step()
            cadence.step()
            somme += perte.item() * len(indices)
        print(f"époque {epoque}  perte {somme / len(xa):.4f}  validation {justesse(modele, xv, yv):.3f}")

    print("justesse sur le jeu de test :", round(justesse(modele, xt, yt), 4))


if __name__ == "__main__":
    principal()
