"""Reconnaissance d'espèces d'après des photos de feuilles.

Chaque plante de la serre est photographiée sous plusieurs vues, à la lumière du
jour puis au flash ; un dossier par espèce, fichiers <plante>_<vue>_<lumière>.png
"""
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

ESPECES = ["charme", "erable", "saule", "tilleul"]
COTE = 28
PLANTES, VUES = 50, 3
LUMIERES = {"jour": 1.0, "flash": 1.25}
GRAINE = 5


# --------------------------------------------------------------------- images
def photographier(rng, forme, plante, gain):
    """Une vue d'une plante : la plante garde sa couleur et son pot, la pose varie."""
    y, x = np.mgrid[:COTE, :COTE] - (COTE - 1) / 2
    angle = plante["angle"] + rng.normal(0, 0.1)
    x, y = x - rng.uniform(-1.5, 1.5), y - rng.uniform(-1.5, 1.5)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    taille = plante["taille"] * rng.uniform(0.93, 1.07)
    r, t = np.hypot(u, v), np.arctan2(v, u)
    if forme == 0:      # ovale
        bord = taille * (1 - plante["trait"] * 0.45 * np.sin(t) ** 2)
    elif forme == 1:    # cinq lobes
        bord = taille * (0.85 + plante["trait"] * 0.28 * np.cos(5 * t))
    elif forme == 2:    # lancette
        bord = taille * (1.1 - plante["trait"] * 0.78 * np.abs(np.sin(t)) ** 0.7)
    else:               # cœur
        bord = taille * (0.88 + plante["trait"] * 0.25 * np.cos(t) + 0.12 * np.cos(2 * t))
    masque = 1 / (1 + np.exp(np.clip(2 * (r - bord), -30, 30)))
    nervure = np.exp(-(v / 0.8) ** 2) * masque
    img = (plante["fond"] * (1 - masque[..., None]) + plante["vert"] * masque[..., None]
           + 0.12 * nervure[..., None])
    img = img * gain * rng.uniform(0.85, 1.0) + rng.normal(0, 0.06, img.shape)
    return Image.fromarray((np.clip(img, 0, 1) * 255).astype(np.uint8))


def constituer_herbier(racine, rng):
    numero = 0
    for forme, espece in enumerate(ESPECES):
        (racine / espece).mkdir()
        for _ in range(PLANTES):
            plante = dict(
                angle=rng.normal(0, 0.7), taille=rng.uniform(7.5, 10.5),
                trait=rng.normal(1.0, 0.24), fond=rng.uniform(0.5, 0.95, 3),
                vert=np.array([0.25, 0.5, 0.2]) + rng.normal(0, 0.1, 3))
            for vue in range(VUES):
                for lumiere, gain in LUMIERES.items():
                    photo = photographier(rng, forme, plante, gain)
                    photo.save(racine / espece / f"p{numero:03d}_v{vue}_{lumiere}.png")
            numero += 1


# ------------------------------------------------------------------ répartition
def part(chemin):
    """Part stable d'une plante : 60 % apprentissage, 20 % validation, 20 % test.

    Le CRC ne dépend pas de l'ordre des fichiers : ajouter des photos ne déplace
    jamais les anciennes.
    """
    plante = chemin.stem.rsplit("_", 1)[0]
    seau = zlib.crc32(plante.encode()) % 10
    return "apprentissage" if seau < 6 else "validation" if seau < 8 else "test"


class Herbier(Dataset):
    def __init__(self, chemins):
        self.images = np.stack([np.asarray(Image.open(c)) for c in chemins])
        self.cibles = [ESPECES.index(c.parent.name) for c in chemins]
        self.moyenne, self.ecart = 0.0, 1.0

    def normaliser(self, moyenne, ecart):
        self.moyenne, self.ecart = moyenne, ecart
        return self

    def __len__(self):
        return len(self.cibles)

    def __getitem__(self, i):
        x = (self.images[i] / 255.0 - self.moyenne) / self.ecart
        return torch.from_numpy(x.astype(np.float32).transpose(2, 0, 1)), self.cibles[i]


# ---------------------------------------------------------------------- modèle
class Reseau(nn.Module):
    def __init__(self, n):
        super().__init__()
        couches, entree = [], 3
        for sortie in (24, 32, 48):
            couches += [nn.Conv2d(entree, sortie, 3, padding=1, bias=False),
                        nn.BatchNorm2d(sortie), nn.LeakyReLU(0.1), nn.MaxPool2d(2)]
            entree = sortie
        self.corps = nn.Sequential(*couches)
        self.tete = nn.Linear(48 * 3 * 3, n)

    def forward(self, x):
        return self.tete(self.corps(x).flatten(1))


@torch.inference_mode()
def exactitude(modele, chargeur):
    modele.eval()
    bons = total = 0
    for x, y in chargeur:
        bons += int((modele(x).argmax(1) == y).sum())
        total += len(y)
    return bons / total


def main():
    torch.manual_seed(GRAINE)
    torch.set_num_threads(1)
    rng = np.random.default_rng(GRAINE)
    with tempfile.TemporaryDirectory() as dossier:
        racine = Path(dossier)
        constituer_herbier(racine, rng)
        parts = {"apprentissage": [], "validation": [], "test": []}
        for chemin in sorted(racine.glob("*/*.png")):
            parts[part(chemin)].append(chemin)
        jeux = {nom: Herbier(chemins) for nom, chemins in parts.items()}
    print({nom: len(j) for nom, j in jeux.items()})

    pixels = jeux["apprentissage"].images / 255.0
    moyenne, ecart = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))
    for jeu in jeux.values():
        jeu.normaliser(moyenne, ecart)
    apprentissage = DataLoader(jeux["apprentissage"], batch_size=30, shuffle=True, drop_last=True)
    validation = DataLoader(jeux["validation"], batch_size=100)
    essai = DataLoader(jeux["test"], batch_size=100)

    modele = Reseau(len(ESPECES))
    critere = nn.CrossEntropyLoss()
    optimiseur = torch.optim.NAdam(modele.parameters(), lr=2e-3)
    meilleure, poids = -1.0, None
    for epoque in range(10):
        modele.train()
        for x, y in apprentissage:
            optimiseur.zero_grad()
            perte = critere(modele(x), y)
            perte.backward()
            optimiseur.step()
        score = exactitude(modele, validation)
        if score > meilleure:
            meilleure = score
            poids = {k: v.clone() for k, v in modele.state_dict().items()}
        print(f"époque {epoque:2d}  perte {perte.item():.3f}  validation {score:.3f}")
    modele.load_state_dict(poids)
    print(f"exactitude sur les plantes de test : {exactitude(modele, essai):.4f}")


if __name__ == "__main__":
    main()
