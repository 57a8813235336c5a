#!/usr/bin/env python3
# Frottis sanguins : reconnaitre le type de cellule anormale dans une lame decoupee en tuiles.
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

TYPES = ["saine", "falciforme", "annulaire", "parasitee", "geante"]
COTE, TUILE = 36, 12


# ---------------------------------------------------------------------------------------- donnees
def peindre(lame, forme, cy, cx, rng):
    yy, xx = np.mgrid[:COTE, :COTE].astype(np.float32)
    dy, dx = yy - cy, xx - cx
    r = np.hypot(dy, dx)
    rayon = rng.uniform(2.4, 3.2)
    if forme == "falciforme":
        a = rng.uniform(0, np.pi)
        u, v = np.cos(a) * dx + np.sin(a) * dy, -np.sin(a) * dx + np.cos(a) * dy
        masque = np.exp(-((u / 4.2) ** 4) - ((v - 0.1 * u ** 2 + 0.6) / 1.3) ** 4)
    elif forme == "geante":
        masque = 1 / (1 + np.exp((r - 1.7 * rayon) * 2))
    else:
        masque = 1 / (1 + np.exp((r - rayon) * 2))
        if forme == "annulaire":
            masque = masque * (1 - 0.95 * np.exp(-(r / 1.6) ** 4))
    rouge = np.array([0.75, 0.35, 0.38]) + rng.normal(0, 0.05, 3)
    lame += masque * (rouge[:, None, None] - lame) * 0.85
    if forme == "parasitee":
        point = np.exp(-(((yy - cy - rng.normal(0, .6)) ** 2 + (xx - cx - rng.normal(0, .6)) ** 2) / 1.6))
        lame += point * (np.array([0.25, 0.10, 0.45])[:, None, None] - lame) * 0.9


def preparer(n, graine):
    rng = np.random.default_rng(graine)
    etiquettes = rng.integers(0, len(TYPES), n)
    lames = np.empty((n, 3, COTE, COTE), np.float32)
    for k, t in enumerate(etiquettes):
        fond = np.array([0.90, 0.84, 0.80]) + rng.normal(0, 0.03, 3)
        lame = np.ones((3, COTE, COTE)) * fond[:, None, None]
        cases = rng.permutation(9)[: rng.integers(6, 9)]
        malades = rng.integers(1, 4)
        for j, c in enumerate(cases):
            cy, cx = (c // 3 + 0.5) * TUILE + rng.normal(0, 1.2), (c % 3 + 0.5) * TUILE + rng.normal(0, 1.2)
            peindre(lame, TYPES[t] if j < malades else "saine", cy, cx, rng)
        lames[k] = np.clip(lame * rng.uniform(0.7, 1.1) + rng.normal(0, 0.09, lame.shape), 0, 1)
    return torch.from_numpy(lames), torch.from_numpy(etiquettes)


# ---------------------------------------------------------------------------------------- modele
class Encodeur(nn.Sequential):
    def __init__(self, sortie):
        super().__init__(
            nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.LeakyReLU(0.1),
            nn.Conv2d(24, sortie, 3, padding=1, bias=False), nn.BatchNorm2d(sortie), nn.LeakyReLU(0.1),
            nn.AdaptiveMaxPool2d(1), nn.Flatten())


class AttentionTuiles(nn.Module):
    """Apprentissage par instances multiples (Ilse et al., 2018) : moyenne ponderee des tuiles."""

    def __init__(self, dim=40, cache=24, classes=len(TYPES)):
        super().__init__()
        self.dim = dim
        self.encodeur = Encodeur(dim)
        self.porte = nn.Sequential(nn.Linear(dim, cache), nn.Tanh(), nn.Linear(cache, 1))
        self.classifieur = nn.Linear(dim, classes)

    def forward(self, x):
        n, c = x.shape[:2]
        tuiles = F.unfold(x, TUILE, stride=TUILE)                                   # n, c*t*t, L
        nb = tuiles.shape[-1]
        tuiles = tuiles.permute(2, 0, 1).reshape(n * nb, c, TUILE, TUILE)
        h = self.encodeur(tuiles).view(n, nb, self.dim)
        poids = self.porte(h).softmax(dim=1)
        return self.classifieur((poids * h).sum(dim=1))


# ---------------------------------------------------------------------------------------- entraineur
class Rappel:
    def debut(self, e): ...
    def fin_epoque(self, e, mesures): ...
    def fin(self, e): ...


class Journal(Rappel):
    def debut(self, e):
        self.t0 = time.time()

    def fin_epoque(self, e, m):
        print(" | ".join(f"{k} {v:.3f}" for k, v in m.items()))

    def fin(self, e):
        print(f"duree {time.time() - self.t0:.1f} s")


class Meilleur(Rappel):
    """Garde les poids de la meilleure epoque de validation."""

    def debut(self, e):
        self.score, self.poids = -1.0, None

    def fin_epoque(self, e, m):
        if m["val_exactitude"] > self.score:
            self.score = m["val_exactitude"]
            self.poids = {k: v.clone() for k, v in e.modele.state_dict().items()}

    def fin(self, e):
        e.modele.load_state_dict(self.poids)


class Entraineur:
    def __init__(self, modele, rappels, epoques=8, pas=3e-3):
        self.modele, self.rappels, self.epoques = modele, rappels, epoques
        self.cout = nn.CrossEntropyLoss(label_smoothing=0.05)
        self.optim = torch.optim.Adam(modele.parameters(), lr=pas)
        self.plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.optim, epoques, eta_min=pas / 50)

    def appeler(self, evenement, *args):
        for r in self.rappels:
            getattr(r, evenement)(self, *args)

    def evaluer(self, chargeur):
        self.modele.eval()
        with torch.no_grad():
            justes = sum((self.modele(x).argmax(1) == y).sum().item() for x, y in chargeur)
        return justes / len(chargeur.dataset)

    def entrainer(self, appr, val):
        self.appeler("debut")
        for ep in range(self.epoques):
            self.modele.train()
            pertes = []
            for x, y in appr:
                self.optim.zero_grad()
                perte = self.cout(self.modele(x), y)
                perte.backward()
                self.optim.step()
                pertes.append(perte.item())
            self.plan.step()
            self.appeler("fin_epoque", {"perte": np.mean(pertes), "val_exactitude": self.evaluer(val)})
        self.appeler("fin")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(7)
    lots = [preparer(n, g) for n, g in ((1100, 70), (300, 71), (500, 72))]
    m, s = lots[0][0].mean((0, 2, 3), keepdim=True), lots[0][0].std((0, 2, 3), keepdim=True)
    appr, val, test = [TensorDataset((x - m) / s, y) for x, y in lots]
    entraineur = Entraineur(AttentionTuiles(), [Meilleur(), Journal()])
    entraineur.entrainer(DataLoader(appr, 32, shuffle=True), DataLoader(val, 100))
    print(f"exactitude test {entraineur.evaluer(DataLoader(test, 100)):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
