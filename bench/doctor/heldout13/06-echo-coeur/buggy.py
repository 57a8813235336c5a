"""Reconnaître le mouvement d'une paroi dans de courtes séquences échographiques (5 images de 20 x 20)."""
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

MOUVEMENTS = ["dilatation", "contraction", "aller", "retour", "tremblement", "repos"]
N_IMAGES, COTE = 5, 20


def sequence(mouvement, alea):
    """Un anneau clair sur fond granuleux, déformé au cours du temps."""
    v, u = np.mgrid[0:COTE, 0:COTE].astype(np.float32)
    rayon, epais = alea.uniform(4.0, 5.5), alea.uniform(1.2, 1.8)
    cx, cy = alea.uniform(8.5, 10.5, 2)
    amplitude = alea.uniform(1.6, 2.6)
    fond = alea.uniform(0.15, 0.3)
    images = []
    for t in np.linspace(-0.5, 0.5, N_IMAGES):
        r, x, y = rayon, cx, cy
        if mouvement == "dilatation":
            r = rayon + amplitude * t
        elif mouvement == "contraction":
            r = rayon - amplitude * t
        elif mouvement == "aller":
            x = cx + 1.5 * amplitude * t
        elif mouvement == "retour":
            x = cx - 1.5 * amplitude * t
        elif mouvement == "tremblement":
            y = cy + alea.uniform(-0.8, 0.8) * amplitude
        distance = np.hypot(u - x, (v - y) * 1.1)
        image = fond + alea.uniform(0.5, 0.6) * np.exp(-((distance - r) / epais) ** 2)
        images.append(image * alea.gamma(18.0, 1 / 18.0, image.shape))
    return np.stack(images)[:, None]


class Sequences(Dataset):
    def __init__(self, par_classe, alea):
        brut = [sequence(m, alea) for m in MOUVEMENTS for _ in range(par_classe)]
        self.films = torch.tensor(np.stack(brut), dtype=torch.float32)
        self.classes = torch.arange(len(MOUVEMENTS)).repeat_interleave(par_classe)

    def normaliser(self, moyenne, ecart):
        self.films.sub_(moyenne).div_(ecart)
        return self

    def __len__(self):
        return len(self.films)

    def __getitem__(self, i):
        return self.films[i], self.classes[i]


def bloc(entree, sortie):
    return nn.Sequential(
        nn.Conv2d(entree, sortie, 3, padding=1, bias=False), nn.BatchNorm2d(sortie), nn.LeakyReLU(0.1), nn.AvgPool2d(2))


class ReseauTemporel(nn.Module):
    """CNN par image puis convolution le long du temps."""

    def __init__(self, n_classes, dim=32):
        super().__init__()
        self.cnn = nn.Sequential(bloc(1, 12), bloc(12, 24), nn.Flatten(), nn.Linear(24 * 25, dim), nn.LeakyReLU(0.1))
        self.temps = nn.Sequential(
            nn.Conv1d(dim, 48, 3, padding=1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(48 * N_IMAGES, n_classes))

    def forward(self, films):
        b, t = films.shape[:2]
        images = films.transpose(0, 1).flatten(0, 1)
        codes = self.cnn(images)
        return self.temps(codes.view(b, t, -1).transpose(1, 2))


def justesse(reseau, chargeur):
    reseau.eval()
    justes = total = 0
    with torch.no_grad():
        for films, classes in chargeur:
            justes += (reseau(films).argmax(dim=1) == classes).sum().item()
            total += len(classes)
    return justes / total


def main():
    torch.manual_seed(8)
    alea = np.random.default_rng(8)
    apprentissage, validation, essai = Sequences(180, alea), Sequences(40, alea), Sequences(60, alea)
    moyenne, ecart = apprentissage.films.mean().item(), apprentissage.films.std().item()
    for jeu in (apprentissage, validation, essai):
        jeu.normaliser(moyenne, ecart)
    lots = DataLoader(apprentissage, batch_size=36, shuffle=True)
    lots_val, lots_essai = DataLoader(validation, batch_size=60), DataLoader(essai, batch_size=60)

    reseau = ReseauTemporel(len(MOUVEMENTS))
    critere = nn.CrossEntropyLoss()
    optimiseur = torch.optim.NAdam(reseau.parameters(), lr=2e-3)
    epoques = 9
    plan = torch.optim.lr_scheduler.LambdaLR(optimiseur, lambda e: 0.5 * (1 + math.cos(math.pi * e / epoques)))
    meilleure, poids = -1.0, None
    for epoque in range(epoques):
        reseau.train()
        somme = 0.0
        for films, classes in lots:
            optimiseur.zero_grad()
            perte = critere(reseau(films), classes)
            perte.backward()
            optimiseur.step()
            somme += perte.item() * len(classes)
        plan.step()
        val = justesse(reseau, lots_val)
        print(f"époque {epoque + 1} : perte {somme / len(apprentissage):.3f}, validation {val:.3f}")
        if val > meilleure:
            meilleure, poids = val, {nom: p.clone() for nom, p in reseau.state_dict().items()}
    reseau.load_state_dict(poids)
    print(f"Justesse sur le jeu d'essai : {justesse(reseau, lots_essai):.3f}")


if __name__ == "__main__":
    main()
