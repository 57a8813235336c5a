# Lecture d'un manomètre : dans quel huitième du cadran se trouve l'aiguille ?
# Les coordonnées du pixel sont ajoutées comme canaux (CoordConv, Liu et al. 2018).

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

GRAINE = 17
COTE = 26
SECTEURS = 8
LOT = 64
EPOQUES = 9

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(GRAINE)
alea = np.random.default_rng(GRAINE)


# ---- images -----------------------------------------------------------------

def cadran(secteur):
    """Un cadran vu par une caméra bon marché : décalage, reflet, bruit."""
    n = COTE * 2
    image = Image.new("L", (n, n), int(alea.integers(60, 120)))
    trait = ImageDraw.Draw(image)
    cx, cy = n / 2 + alea.uniform(-5, 5, 2)
    rayon = alea.uniform(18, 23)
    trait.ellipse((cx - rayon, cy - rayon, cx + rayon, cy + rayon), fill=int(alea.integers(170, 230)), outline=30)
    for k in range(SECTEURS):
        a = 2 * math.pi * k / SECTEURS
        trait.line((cx + 0.8 * rayon * math.cos(a), cy + 0.8 * rayon * math.sin(a),
                    cx + rayon * math.cos(a), cy + rayon * math.sin(a)), fill=60)
    angle = 2 * math.pi * (secteur + 0.5 + alea.uniform(-0.42, 0.42)) / SECTEURS
    u, v = math.cos(angle), math.sin(angle)
    long, court = rayon * alea.uniform(0.7, 0.85), rayon * alea.uniform(0.1, 0.35)
    encre = int(alea.integers(20, 90))
    trait.line((cx - court * u, cy - court * v, cx + long * u, cy + long * v), fill=encre, width=3)
    trait.ellipse((cx - 3, cy - 3, cx + 3, cy + 3), fill=encre)
    pixels = np.asarray(image.resize((COTE, COTE), Image.BOX), dtype=np.float32)
    reflet = np.linspace(-25, 25, COTE, dtype=np.float32) * alea.uniform(-1, 1)
    return pixels + reflet[:, None] + alea.normal(0, 12, pixels.shape).astype(np.float32)


def jeu(nombre):
    secteurs = alea.permutation(np.arange(nombre) % SECTEURS)
    images = np.stack([cadran(s) for s in secteurs])
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(secteurs)


x_app, y_app = jeu(1280)
x_val, y_val = jeu(320)
x_test, y_test = jeu(640)
moyenne, ecart = x_app.mean(), x_app.std()
x_app, x_val, x_test = [((x - moyenne) / ecart).to(device) for x in (x_app, x_val, x_test)]
y_app, y_val, y_test = y_app.to(device), y_val.to(device), y_test.to(device)


# ---- réseau -----------------------------------------------------------------

class AjoutCoord(nn.Module):
    """Ajoute deux canaux fixes, x et y, de -1 à 1."""

    def __init__(self, hauteur, largeur):
        super().__init__()
        x, y = np.meshgrid(np.linspace(-1, 1, largeur), np.linspace(-1, 1, hauteur))
        self.register_buffer("grille", torch.from_numpy(np.stack([x, y])).unsqueeze(0), persistent=False)

    def forward(self, t):
        return torch.cat([t, self.grille.expand(t.size(0), -1, -1, -1)], dim=1)


def etage(entree, sortie):
    return nn.Sequential(nn.Conv2d(entree, sortie, 3, padding=1, bias=False), nn.BatchNorm2d(sortie), nn.LeakyReLU(0.1))


class Lecteur(nn.Module):
    def __init__(self):
        super().__init__()
        self.entree = etage(1, 12)
        self.coord = AjoutCoord(COTE // 2, COTE // 2)
        self.milieu = etage(12 + 2, 32)
        self.haut = etage(32, 48)
        self.sortie = nn.Linear(48 * 3 * 3, SECTEURS)

    def forward(self, t):
        t = F.max_pool2d(self.entree(t), 2)
        t = F.max_pool2d(self.milieu(self.coord(t)), 2)
        t = F.max_pool2d(self.haut(t), 2)
        return self.sortie(t.flatten(1))


lecteur = Lecteur().to(device)
optimiseur = torch.optim.RMSprop(lecteur.parameters(), lr=1e-3)
plan = torch.optim.lr_scheduler.LambdaLR(optimiseur, lambda e: 0.5 * (1 + math.cos(math.pi * e / EPOQUES)))


def justesse(x, y):
    lecteur.eval()
    with torch.no_grad():
        return (lecteur(x).argmax(1) == y).float().mean().item()


# ---- apprentissage ----------------------------------------------------------

for epoque in range(EPOQUES):
    lecteur.train()
    cumul = 0.0
    for choix in torch.randperm(len(y_app), device=device).split(LOT):
        optimiseur.zero_grad()
        perte = F.cross_entropy(lecteur(x_app[choix]), y_app[choix])
        perte.backward()
        optimiseur.step()
        cumul += perte.item() * len(choix)
    plan.step()
    print(f"époque {epoque + 1} : perte {cumul / len(y_app):.3f}, validation {justesse(x_val, y_val):.3f}")

print(f"justesse sur le jeu de test : {justesse(x_test, y_test):.4f}")
