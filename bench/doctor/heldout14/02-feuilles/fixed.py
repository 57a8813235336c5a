# Reconnaissance de feuilles d'arbres (silhouettes synthétiques, 32 x 32)
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "graine": 5,
    "formes": ["ovale", "lineaire", "trilobee", "palmee", "dentelee", "cordee", "croissant"],
    "taille": 32,
    "n_app": 1400,
    "n_val": 350,
    "n_test": 560,
    "canaux": [12, 24, 32],
    "caches": [64],
    "lot": 35,
    "epoques": 9,
    "pas": 1.5e-3,
}


def silhouette(forme, t, rho, rng):
    """Rayon limite (fraction de la taille) en fonction de l'angle t."""
    if forme == "ovale":
        return rho / np.sqrt(np.cos(t) ** 2 + (np.sin(t) / 0.6) ** 2)
    if forme == "lineaire":
        return rho / np.sqrt(np.cos(t) ** 2 + (np.sin(t) / 0.25) ** 2)
    if forme == "trilobee":
        return rho * (0.68 + 0.32 * np.cos(3 * t))
    if forme == "palmee":
        return rho * (0.5 + 0.5 * np.abs(np.cos(2.5 * t)))
    if forme == "dentelee":
        dents = 1 + 0.22 * (((t * 11 / (2 * math.pi)) % 1) - 0.5)
        return 0.9 * dents * rho / np.sqrt(np.cos(t) ** 2 + (np.sin(t) / 0.75) ** 2)
    if forme == "cordee":
        return rho * (0.95 - 0.65 * np.abs(np.cos(t / 2)) ** 6)
    return rho * np.ones_like(t)


def dessine(forme, n, rng):
    y, x = np.mgrid[:n, :n] + 0.5
    cx, cy = n / 2 + rng.uniform(-3, 3, 2)
    angle = rng.uniform(0, 2 * math.pi)
    dx, dy = x - cx, y - cy
    u = dx * math.cos(angle) + dy * math.sin(angle)
    v = -dx * math.sin(angle) + dy * math.cos(angle)
    rho = rng.uniform(8, 12)
    masque = np.hypot(u, v) < silhouette(forme, np.arctan2(v, u), rho, rng)
    if forme == "croissant":
        masque &= np.hypot(u - 0.7 * rho, v) > 0.85 * rho
    sol = rng.uniform(0.3, 0.8, 3)
    vert = np.array([0.2, 0.55, 0.15]) + rng.normal(0, 0.12, 3)
    image = np.where(masque[..., None], vert, sol)
    image *= rng.uniform(0.6, 1.2)
    image += rng.normal(0, 0.08, image.shape)
    return np.clip(image, 0, 1)


def jeu(n, graine):
    rng = np.random.default_rng(graine)
    k = len(CONFIG["formes"])
    cibles = rng.permutation(np.arange(n) % k)
    images = np.stack([dessine(CONFIG["formes"][c], CONFIG["taille"], rng) for c in cibles])
    return torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float32), torch.tensor(cibles)


def empile_conv(canaux, entree=3):
    couches = []
    for sortie in canaux:
        couches += [nn.Conv2d(entree, sortie, 3, padding=1, bias=False), nn.BatchNorm2d(sortie),
                    nn.ReLU(), nn.MaxPool2d(2)]
        entree = sortie
    return nn.Sequential(*couches)


def empile_dense(tailles):
    couches = []
    for entree, sortie in zip(tailles, tailles[1:]):
        couches += [nn.Linear(entree, sortie), nn.ReLU()]
    return nn.Sequential(*couches[:-1])


def construit(cfg):
    cote = cfg["taille"] // 2 ** len(cfg["canaux"])
    plat = cfg["canaux"][-1] * cote * cote
    return nn.Sequential(
        empile_conv(cfg["canaux"]),
        nn.Flatten(),
        empile_dense([plat, *cfg["caches"], len(cfg["formes"])]),
    )


def justesse(modele, x, y):
    modele.eval()
    with torch.no_grad():
        return (modele(x).argmax(1) == y).float().mean().item()


random.seed(CONFIG["graine"])
torch.manual_seed(CONFIG["graine"])

x_app, y_app = jeu(CONFIG["n_app"], 100)
x_val, y_val = jeu(CONFIG["n_val"], 101)
x_test, y_test = jeu(CONFIG["n_test"], 102)
mu, sigma = x_app.mean((0, 2, 3), keepdim=True), x_app.std((0, 2, 3), keepdim=True)
x_app, x_val, x_test = ((x - mu) / sigma for x in (x_app, x_val, x_test))

modele = construit(CONFIG)
optimiseur = torch.optim.Adam(modele.parameters(), lr=CONFIG["pas"])
meilleure, etat = -1.0, None

for epoque in range(CONFIG["epoques"]):
    modele.train()
    for indices in torch.randperm(len(x_app)).split(CONFIG["lot"]):
        perte = F.cross_entropy(modele(x_app[indices]), y_app[indices])
        optimiseur.zero_grad()
        perte.backward()
        optimiseur.step()
    j = justesse(modele, x_val, y_val)
    if j > meilleure:
        meilleure = j
        etat = {cle: t.clone() for cle, t in modele.state_dict().items()}
    print(f"époque {epoque + 1:2d}  perte {perte.item():.3f}  validation {j:.3f}")

modele.load_state_dict(etat)
print("justesse sur le test :", round(justesse(modele, x_test, y_test), 4))
