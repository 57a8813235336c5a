# Reconnaissance de feuilles d'arbres (petites images couleur) par un réseau convolutif.
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, default_collate

ESPECES = ["hetre", "erable", "chene", "saule", "lierre"]
TAILLE = 32
N_APP, N_VAL, N_TEST = 1000, 250, 400
LOT = 50
EPOQUES = 12


def contour(espece, angle, alea):
    """Rayon de la feuille en fonction de l'angle (0 = pointe)."""
    if espece == "hetre":
        return 1.0 / np.sqrt(np.cos(angle) ** 2 + (np.sin(angle) / 0.62) ** 2)
    if espece == "saule":
        return 1.0 / np.sqrt(np.cos(angle) ** 2 + (np.sin(angle) / 0.33) ** 2)
    if espece == "erable":
        return 0.72 + 0.3 * np.cos(5 * angle)
    if espece == "lierre":
        return 0.78 + 0.24 * np.cos(3 * angle)
    base = 1.0 / np.sqrt(np.cos(angle) ** 2 + (np.sin(angle) / 0.62) ** 2)
    return base * (0.88 + 0.16 * np.cos(9 * angle + alea.uniform(-0.5, 0.5)))


def dessiner(espece, alea):
    y, x = np.mgrid[:TAILLE, :TAILLE]
    cy, cx = TAILLE / 2 + alea.uniform(-3, 3, 2)
    rotation = alea.uniform(-0.5, 0.5)
    rayon = np.hypot(y - cy, x - cx)
    angle = np.arctan2(x - cx, cy - y) + rotation
    bord = alea.uniform(9.5, 13.5) * contour(espece, angle, alea)
    masque = 1 / (1 + np.exp((rayon - bord) * 2))
    vert = np.array([alea.uniform(0.2, 0.6), alea.uniform(0.4, 0.75), alea.uniform(0.1, 0.3)])
    fond = alea.uniform(0.3, 0.95) * np.array([1.0, 0.96, 0.9])
    image = masque[..., None] * vert + (1 - masque[..., None]) * fond
    nervure = np.exp(-((np.sin(angle) * rayon) / 0.8) ** 2) * masque
    image = image * (1 - 0.25 * nervure[..., None]) + alea.normal(0, 0.07, image.shape)
    return np.clip(image, 0, 1).astype(np.float32).transpose(2, 0, 1)


class Herbier(Dataset):
    def __init__(self, n, graine, moyenne=None, ecart=None):
        alea = np.random.default_rng(graine)
        self.etiquettes = alea.permutation(np.arange(n) % len(ESPECES))
        brut = torch.from_numpy(np.stack([dessiner(ESPECES[k], alea) for k in self.etiquettes]))
        self.moyenne = brut.mean((0, 2, 3), keepdim=True) if moyenne is None else moyenne
        self.ecart = brut.std((0, 2, 3), keepdim=True) if ecart is None else ecart
        self.images = (brut - self.moyenne) / self.ecart

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], int(self.etiquettes[i])


def assembler(exemples):
    """Forme le lot et le déforme : rotation, échelle, miroir, éclairage, rectangle masqué."""
    x, y = default_collate(exemples)
    n = len(x)
    a = (torch.rand(n) - 0.5) * 2 * math.radians(40)
    e = 0.8 + 0.5 * torch.rand(n)
    m = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = e * a.cos() * m, -e * a.sin()
    theta[:, 1, 0], theta[:, 1, 1] = e * a.sin() * m, e * a.cos()
    grille = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grille, padding_mode="border", align_corners=False)
    x = x * (0.7 + 0.6 * torch.rand(n, 1, 1, 1)) + 0.4 * torch.randn(n, 3, 1, 1)
    for k in range(n):
        r, c = torch.randint(0, TAILLE - 11, (2,)).tolist()
        x[k, :, r:r + 11, c:c + 11] = 0.0
    return x, y


def chargeur(jeu, apprentissage):
    return DataLoader(
        jeu,
        batch_size=LOT,
        shuffle=apprentissage,
        drop_last=apprentissage,
        collate_fn=assembler,
    )


def bloc(entree, sortie):
    return nn.Sequential(
        nn.Conv2d(entree, sortie, 3, padding=1, bias=False),
        nn.BatchNorm2d(sortie),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def precision(reseau, donnees):
    reseau.eval()
    justes = total = 0
    with torch.no_grad():
        for x, y in donnees:
            justes += (reseau(x).argmax(1) == y).sum().item()
            total += len(y)
    return justes / total


def main():
    torch.manual_seed(3)
    app = Herbier(N_APP, 10)
    val = Herbier(N_VAL, 20, app.moyenne, app.ecart)
    test = Herbier(N_TEST, 30, app.moyenne, app.ecart)
    ch_app, ch_val, ch_test = chargeur(app, True), chargeur(val, False), chargeur(test, False)

    reseau = nn.Sequential(bloc(3, 16), bloc(16, 24), bloc(24, 48), nn.Flatten(), nn.Linear(48 * 4 * 4, len(ESPECES)))
    critere = nn.CrossEntropyLoss()
    optim = torch.optim.Adam(reseau.parameters(), lr=2e-3)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, T_max=EPOQUES)

    for epoque in range(EPOQUES):
        reseau.train()
        cumul = 0.0
        for x, y in ch_app:
            optim.zero_grad()
            perte = critere(reseau(x), y)
            perte.backward()
            optim.step()
            cumul += perte.item()
        plan.step()
        print(f"époque {epoque + 1:2d}  perte {cumul / len(ch_app):.3f}  validation {precision(reseau, ch_val):.3f}")
    print(f"précision sur le jeu de test : {precision(reseau, ch_test):.4f}")


if __name__ == "__main__":
    main()
