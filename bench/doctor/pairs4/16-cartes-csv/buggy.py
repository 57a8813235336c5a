"""Reconnaissance de symboles de cartes : images PNG et fichiers CSV, un par partition."""
import csv
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

GRAINE = 16
SYMBOLES = ("trefle", "carreau", "pique", "etoile", "anneau")
TAILLE = 24


def dessiner(symbole, alea):
    im = Image.new("RGB", (TAILLE, TAILLE), tuple(alea.randint(180, 255) for _ in range(3)))
    d = ImageDraw.Draw(im)
    x, y, r = alea.randint(9, 14), alea.randint(9, 14), alea.randint(6, 8)
    encre = tuple(alea.randint(0, 110) for _ in range(3))
    if symbole == "trefle":
        for dx, dy in ((0, -r // 2), (-r // 2, r // 3), (r // 2, r // 3)):
            d.ellipse((x + dx - 3, y + dy - 3, x + dx + 3, y + dy + 3), fill=encre)
    elif symbole == "carreau":
        d.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=encre)
    elif symbole == "pique":
        d.polygon([(x, y - r), (x + r, y + r // 2), (x - r, y + r // 2)], fill=encre)
        d.line((x, y, x, y + r), fill=encre, width=2)
    elif symbole == "etoile":
        for dx, dy in ((r, 0), (0, r), (r - 2, r - 2), (r - 2, 2 - r)):
            d.line((x - dx, y - dy, x + dx, y + dy), fill=encre, width=1)
    else:
        d.ellipse((x - r, y - r, x + r, y + r), outline=encre, width=2)
    return im


def ecrire(racine, partition, nombre, alea):
    (racine / partition).mkdir()
    lignes = []
    for i in range(nombre):
        symbole = SYMBOLES[i % len(SYMBOLES)]
        nom = f"{partition}/{i:05d}.png"
        dessiner(symbole, alea).save(racine / nom)
        lignes.append((nom, symbole))
    alea.shuffle(lignes)
    with open(racine / f"{partition}.csv", "w", newline="") as f:
        csv.writer(f).writerows([("fichier", "symbole"), *lignes])


class Cartes(Dataset):
    def __init__(self, racine, partition):
        with open(racine / f"{partition}.csv", newline="") as f:
            lignes = list(csv.DictReader(f))
        noms = list(dict.fromkeys(ligne["symbole"] for ligne in lignes))
        self.indice = {nom: i for i, nom in enumerate(noms)}
        self.exemples = []
        for ligne in lignes:
            with Image.open(racine / ligne["fichier"]) as im:
                pixels = np.asarray(im, dtype=np.float32).transpose(2, 0, 1) / 255
            self.exemples.append((torch.from_numpy((pixels - 0.75) / 0.25), self.indice[ligne["symbole"]]))

    def __len__(self):
        return len(self.exemples)

    def __getitem__(self, i):
        return self.exemples[i]


class Reseau(nn.Module):
    def __init__(self, sorties):
        super().__init__()
        self.corps = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.tete = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 6 * 6, sorties))

    def forward(self, x):
        return self.tete(self.corps(x))


def entrainer(reseau, chargeur, epoques=4):
    opt = torch.optim.Adam(reseau.parameters(), lr=1e-3)
    perte = nn.CrossEntropyLoss()
    for e in range(epoques):
        reseau.train()
        cumul = 0.0
        for x, y in chargeur:
            opt.zero_grad()
            cout = perte(reseau(x), y)
            cout.backward()
            opt.step()
            cumul += cout.item()
        print(f"epoque {e + 1} : perte {cumul / len(chargeur):.3f}")


@torch.no_grad()
def mesurer(reseau, chargeur):
    reseau.eval()
    justes = [(reseau(x).argmax(1) == y).float() for x, y in chargeur]
    return torch.cat(justes).mean().item()


if __name__ == "__main__":
    torch.manual_seed(GRAINE)
    alea = random.Random(GRAINE)
    with tempfile.TemporaryDirectory() as dossier:
        racine = Path(dossier)
        ecrire(racine, "appr", 960, alea)
        ecrire(racine, "valid", 250, alea)
        appr, valid = Cartes(racine, "appr"), Cartes(racine, "valid")
    reseau = Reseau(len(appr.indice))
    entrainer(reseau, DataLoader(appr, batch_size=32, shuffle=True))
    print(f"accuracy: {mesurer(reseau, DataLoader(valid, batch_size=50)):.3f}")
