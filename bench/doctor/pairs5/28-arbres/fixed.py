"""Reconnaître l'essence d'un arbre d'après la photo d'une de ses feuilles.

Campagne de photos : dix-neuf arbres par essence, trois feuilles par arbre, trois clichés par feuille.
Fichiers : <dossier>/<essence>/arbreNN_feuilleF_cliche.png
"""
import random
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ESSENCES = {"charme": (0, 0.0), "chene": (5, 0.24), "erable": (3, 0.32), "saule": (2, 0.34)}  # lobes, profondeur
COTE = 24


# ---------------------------------------------------------------- images
def photographier(dossier, graine=5):
    """Simule la campagne : chaque arbre a sa teinte, son allongement, son fond ; chaque feuille, sa taille."""
    alea = np.random.default_rng(graine)
    yy, xx = np.mgrid[:COTE, :COTE] - (COTE - 1) / 2
    numero = 0
    for essence, (lobes, creux) in ESSENCES.items():
        (dossier / essence).mkdir(parents=True)
        for _ in range(19):
            teinte = alea.uniform([0.15, 0.35, 0.05], [0.4, 0.6, 0.25])
            fond = alea.uniform(0.6, 0.95, 3)
            allonge = alea.uniform(1.0, 1.35)
            creux_arbre = max(0.0, creux + alea.normal(0, 0.035))
            for feuille in range(3):
                rayon, penche = alea.uniform(6.5, 8.5), alea.uniform(0, 2 * np.pi)
                for cliche in "abc":
                    angle = penche + alea.normal(0, 0.5)
                    dx, dy = alea.uniform(-2, 2, 2)
                    u = (xx - dx) * np.cos(angle) + (yy - dy) * np.sin(angle)
                    v = (-(xx - dx) * np.sin(angle) + (yy - dy) * np.cos(angle)) * allonge
                    bord = rayon * (1 + creux_arbre * np.cos(lobes * np.arctan2(v, u)))
                    masque = (1 / (1 + np.exp(2 * (np.hypot(u, v) - bord))))[..., None]
                    nervure = 1 + 0.25 * np.exp(-(v / 0.7) ** 2)[..., None]
                    image = (fond * (1 - masque) + teinte * nervure * masque) * alea.uniform(0.8, 1.15)
                    image = np.clip(image + alea.normal(0, 0.06, image.shape), 0, 1)
                    nom = f"arbre{numero:02d}_feuille{feuille}_{cliche}.png"
                    Image.fromarray(np.uint8(image * 255)).save(dossier / essence / nom)
            numero += 1


# ---------------------------------------------------------------- répartition
def individu(chemin):
    """Identifiant de l'arbre photographié."""
    return chemin.stem.split("_")[0]


def repartir(dossier, parts=(7, 2, 3), graine=3):
    """Apprentissage, validation, test : par groupes entiers, essence par essence."""
    tirage = random.Random(graine)
    lots = ([], [], [])
    for essence in sorted(ESSENCES):
        groupes = defaultdict(list)
        for chemin in sorted((dossier / essence).glob("*.png")):
            groupes[individu(chemin)].append(chemin)
        cles = sorted(groupes)
        tirage.shuffle(cles)
        fin_app = len(cles) * parts[0] // sum(parts)
        fin_val = len(cles) * (parts[0] + parts[1]) // sum(parts)
        for lot, choix in zip(lots, (cles[:fin_app], cles[fin_app:fin_val], cles[fin_val:])):
            lot.extend(chemin for cle in choix for chemin in groupes[cle])
    return lots


def charger(chemins):
    rang = {essence: i for i, essence in enumerate(sorted(ESSENCES))}
    x = np.stack([np.asarray(Image.open(c), dtype=np.float32) / 255 for c in chemins])
    y = [rang[c.parent.name] for c in chemins]
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.tensor(y)


# ---------------------------------------------------------------- réseau
class Reseau(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.traits = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1), nn.ReLU())
        self.tete = nn.Sequential(nn.Flatten(), nn.Linear(48 * 6 * 6, 64), nn.ReLU(), nn.Dropout(0.3),
                                  nn.Linear(64, classes))

    def forward(self, x):
        return self.tete(self.traits(x))


def retourner(x):
    """Miroirs au hasard, image par image : une feuille retournée reste de la même essence."""
    for axe in (-1, -2):
        choix = torch.rand(len(x), 1, 1, 1) < 0.5
        x = torch.where(choix, x.flip(axe), x)
    return x


@torch.no_grad()
def justesse(reseau, x, y):
    reseau.eval()
    return (reseau(x).argmax(1) == y).float().mean().item()


def apprendre(reseau, app, val, epoques=25, taille_lot=32, pas=1e-3):
    x, y = app
    critere = nn.CrossEntropyLoss()
    optim = torch.optim.Adam(reseau.parameters(), lr=pas)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, T_max=epoques)
    for epoque in range(1, epoques + 1):
        reseau.train()
        cumul = 0.0
        for indices in torch.randperm(len(y)).split(taille_lot):
            optim.zero_grad()
            perte = critere(reseau(retourner(x[indices])), y[indices])
            perte.backward()
            optim.step()
            cumul += perte.item() * len(indices)
        plan.step()
        if epoque % 5 == 0:
            print(f"époque {epoque:2d}  perte {cumul / len(y):.3f}  validation {justesse(reseau, *val):.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(7)
    with tempfile.TemporaryDirectory() as tmp:
        photographier(Path(tmp) / "photos")
        lots = repartir(Path(tmp) / "photos")
        app, val, test = (charger(lot) for lot in lots)
    moyenne, ecart = app[0].mean((0, 2, 3), keepdim=True), app[0].std((0, 2, 3), keepdim=True)
    app, val, test = (((x - moyenne) / ecart, y) for x, y in (app, val, test))
    print("clichés :", *(len(y) for _, y in (app, val, test)))

    reseau = Reseau(len(ESSENCES))
    apprendre(reseau, app, val)
    print(f"justesse sur le lot de test : {justesse(reseau, *test):.4f}")
