"""Reconnaître sept espèces d'arbres à la silhouette de leurs feuilles.

Le réseau apprend une représentation ; chaque espèce a un prototype dans cet espace et
une feuille appartient à l'espèce dont le prototype est le plus proche.
"""
import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

GRAINE = 17
COTE = 28
ESPECES = ["tilleul", "chêne", "érable", "saule", "ginkgo", "houx", "aulne"]
EPOQUES = 7
LOT = 35


def rayon(espece, t):
    """Contour en coordonnées polaires, t = 0 vers la pointe."""
    if espece == "tilleul":
        return 0.85 + 0.25 * np.cos(t)
    if espece == "chêne":
        return 0.72 + 0.25 * np.cos(2 * t) + 0.13 * np.cos(7 * t)
    if espece == "érable":
        return 0.68 + 0.32 * np.cos(5 * t)
    if espece == "saule":
        return 1.1 / np.sqrt(np.cos(t) ** 2 + 9 * np.sin(t) ** 2)
    if espece == "ginkgo":
        return np.where(np.abs(t) < 1.15, 1.0, 0.3) * (1 - 0.35 * np.exp(-(t / 0.15) ** 2))
    if espece == "houx":
        return 0.72 + 0.25 * np.cos(2 * t) + 0.13 * np.abs(np.cos(4 * t))
    return 0.85 - 0.2 * np.cos(t) + 0.06 * np.cos(9 * t)


def dessiner(espece, alea):
    y, x = np.mgrid[0:COTE, 0:COTE].astype(np.float64)
    cx, cy = alea.uniform(11, COTE - 11, 2)
    theta = alea.normal(0, 0.5)
    taille = alea.uniform(7.5, 11.5)
    t = np.arctan2(y - cy, x - cx) - theta
    t = (t + np.pi) % (2 * np.pi) - np.pi
    t = t + 0.08 * np.sin(2 * t + alea.uniform(0, 6.28))          # feuille un peu tordue
    bord = taille * rayon(espece, t) * (1 + alea.normal(0, 0.02))
    masque = 1 / (1 + np.exp((np.hypot(x - cx, y - cy) - bord) * 2))
    fond, feuille = alea.uniform(0.5, 0.95), alea.uniform(0.1, 0.4)
    image = fond + (feuille - fond) * masque
    image += 0.12 * alea.uniform(-1, 1) * x / COTE
    return (image + alea.normal(0, 0.1, image.shape)).clip(0, 1)


def preparer(n, alea):
    etiquettes = alea.permutation(np.arange(n) % len(ESPECES))
    images = np.stack([dessiner(ESPECES[e], alea) for e in etiquettes])
    return torch.tensor(images, dtype=torch.float32)[:, None], torch.tensor(etiquettes)


class Reseau(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        couches, entree = [], 1
        for sortie in (12, 24, 32):
            couches += [nn.Conv2d(entree, sortie, 3, padding=1, bias=False), nn.BatchNorm2d(sortie),
                        nn.ReLU(), nn.MaxPool2d(2)]
            entree = sortie
        self.corps = nn.Sequential(*couches)
        self.projection = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 9, dim))

    def forward(self, x):
        return self.projection(self.corps(x))


class PertePrototypes(nn.Module):
    """Entropie croisée sur l'opposé des distances au carré."""

    def __init__(self, n_classes, dim=24):
        super().__init__()
        self.prototypes = nn.Parameter(0.1 * torch.randn(n_classes, dim))

    def scores(self, z):
        return -torch.cdist(z, self.prototypes).pow(2)

    def forward(self, z, y):
        return F.cross_entropy(self.scores(z), y)


def evaluer(modele, critere, chargeur):
    modele.eval()
    perte, justes, total = 0.0, 0, 0
    with torch.no_grad():
        for x, y in chargeur:
            z = modele(x)
            perte += critere(z, y).item() * len(y)
            justes += int((critere.scores(z).argmax(1) == y).sum())
            total += len(y)
    return perte / total, justes / total


def entrainer(modele, critere, optimiseur, chargeur):
    modele.train()
    cumul = 0.0
    for x, y in chargeur:
        optimiseur.zero_grad()
        perte = critere(modele(x), y)
        perte.backward()
        optimiseur.step()
        cumul += perte.item()
    return cumul / len(chargeur)


def principal():
    torch.manual_seed(GRAINE)
    alea = np.random.default_rng(GRAINE)
    (xa, ya), (xv, yv), (xt, yt) = preparer(1960, alea), preparer(280, alea), preparer(560, alea)
    moyenne, ecart = xa.mean(), xa.std()
    xa, xv, xt = ((x - moyenne) / ecart for x in (xa, xv, xt))
    apprentissage = DataLoader(TensorDataset(xa, ya), batch_size=LOT, shuffle=True)
    validation = DataLoader(TensorDataset(xv, yv), batch_size=140)
    essai = DataLoader(TensorDataset(xt, yt), batch_size=140)

    modele, critere = Reseau(), PertePrototypes(len(ESPECES))
    optimiseur = torch.optim.Adam([
        {"params": modele.parameters(), "lr": 2e-3},
        {"params": critere.parameters(), "lr": 2e-2},
    ])
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiseur, EPOQUES)
    meilleure, garde = float("inf"), None
    for epoque in range(EPOQUES):
        perte = entrainer(modele, critere, optimiseur, apprentissage)
        plan.step()
        perte_v, exact_v = evaluer(modele, critere, validation)
        print(f"époque {epoque + 1:2d}   perte {perte:.3f}   validation {perte_v:.3f} / {exact_v:.3f}")
        if perte_v < meilleure:
            meilleure = perte_v
            garde = copy.deepcopy((modele.state_dict(), critere.state_dict()))
    modele.load_state_dict(garde[0])
    critere.load_state_dict(garde[1])
    print("exactitude sur l'essai :", round(evaluer(modele, critere, essai)[1], 4))


if __name__ == "__main__":
    principal()
