"""Reconnaissance d'essences de bois d'après des coupes transversales.

Chaque bloc de bois est photographié une fois ; on découpe ensuite plusieurs vignettes dans la photo.
"""
import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, TensorDataset

ESSENCES = ["chêne", "hêtre", "frêne", "pin", "érable"]
# (taille des vaisseaux, densité, pores en anneau, pas des cernes)
ANATOMIE = {"chêne": (1.9, .010, .85, 17), "hêtre": (1.0, .030, .2, 15), "frêne": (1.5, .017, .8, 11),
            "pin": (.8, .003, .3, 8), "érable": (1.2, .011, .0, 20)}
BLOCS_PAR_ESSENCE, VIGNETTES, COTE, PHOTO = 20, 15, 28, 42
EPOQUES, LOT, GRAINE = 8, 45, 31


def photo_de_bloc(essence, gen):
    taille, densite, anneau, pas = ANATOMIE[essence]
    taille *= gen.uniform(.85, 1.17)
    densite *= gen.uniform(.77, 1.28)
    pas *= gen.uniform(.8, 1.25)
    yy, xx = np.mgrid[:PHOTO, :PHOTO]
    angle = gen.uniform(-.3, .3)
    r = yy * np.cos(angle) + xx * np.sin(angle) + 2.5 * gaussian_filter(gen.normal(0, 6, (PHOTO, PHOTO)), 9)
    phase = (r / pas + gen.uniform()) % 1
    bois = 165 + gen.uniform(-22, 22) - gen.uniform(18, 34) * phase ** 2
    chance = densite * (1 - anneau + anneau * 3 * (phase < .33))
    germes = (gen.random((PHOTO, PHOTO)) < chance).astype(float)
    pores = gaussian_filter(germes, taille) * 2 * np.pi * taille ** 2
    bois -= gen.uniform(60, 80) * np.clip(pores, 0, 1.3)
    bois += gaussian_filter(gen.normal(0, 1, (PHOTO, PHOTO)), 4) * gen.uniform(40, 110)   # taches du bloc
    return bois + gen.uniform(-.35, .35) * (xx - PHOTO / 2) * gen.choice([0, 1])


def decouper(photo, gen):
    y, x = gen.integers(0, PHOTO - COTE, 2)
    v = photo[y:y + COTE, x:x + COTE] * gen.uniform(.96, 1.04)
    v = v[:, ::-1] if gen.random() < .5 else v
    return v + gen.normal(0, 5, v.shape)


def constituer(gen):
    images, essences, blocs = [], [], []
    for e, nom in enumerate(ESSENCES):
        for b in range(BLOCS_PAR_ESSENCE):
            photo = photo_de_bloc(nom, gen)
            for _ in range(VIGNETTES):
                images.append(decouper(photo, gen))
                essences.append(e)
                blocs.append(b)
    x = torch.tensor(np.stack(images), dtype=torch.float32).unsqueeze(1)
    return x, torch.tensor(essences), np.array(blocs)


def repartir(blocs):
    """Trois cinquièmes pour apprendre, un pour valider, un pour l'épreuve finale."""
    rang = np.arange(len(blocs)) % 5
    return (torch.from_numpy(np.flatnonzero(m)) for m in (rang < 3, rang == 3, rang == 4))


class Xylo(nn.Module):
    def __init__(self):
        super().__init__()
        self.corps = nn.Sequential(
            nn.Conv2d(1, 20, 5, padding=2, bias=False), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(20, 40, 3, padding=1, bias=False), nn.BatchNorm2d(40), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(40, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(3))
        self.tete = nn.Sequential(nn.Flatten(), nn.Dropout(.3), nn.Linear(64 * 9, len(ESSENCES)))

    def forward(self, x):
        return self.tete(self.corps(x))


@torch.no_grad()
def exactitude(modele, chargeur):
    modele.eval()
    bons = sum((modele(x).argmax(1) == y).sum().item() for x, y in chargeur)
    return bons / len(chargeur.dataset)


def entrainer(modele, chargeur, validation):
    perte = nn.CrossEntropyLoss()
    opt = torch.optim.AdamW(modele.parameters(), lr=2e-3, weight_decay=1e-2)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOQUES)
    for ep in range(EPOQUES):
        modele.train()
        for x, y in chargeur:
            if torch.rand(1) < .5:
                x = x.flip(3)
            opt.zero_grad()
            p = perte(modele(x), y)
            p.backward()
            opt.step()
        plan.step()
        print(f"époque {ep + 1} : perte {p.item():.3f}, validation {exactitude(modele, validation):.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(GRAINE)
    x, y, blocs = constituer(np.random.default_rng(GRAINE))
    i_app, i_val, i_epr = repartir(blocs)
    moyenne, ecart = x[i_app].mean(), x[i_app].std()
    x = (x - moyenne) / ecart
    jeux = [TensorDataset(x[i], y[i]) for i in (i_app, i_val, i_epr)]
    modele = Xylo()
    entrainer(modele, DataLoader(jeux[0], LOT, shuffle=True), DataLoader(jeux[1], 90))
    print(f"exactitude à l'épreuve : {exactitude(modele, DataLoader(jeux[2], 90)):.4f}")
