"""Formes colorées : petit réseau, classe d'entraînement, arrêt après quelques époques."""
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

FORMES = ["disque", "carre", "anneau", "barre", "losange"]


def dessine(forme, alea, taille=22):
    fond, encre = int(alea.integers(0, 90)), int(alea.integers(150, 256))
    image = Image.new("L", (taille, taille), fond)
    crayon = ImageDraw.Draw(image)
    r = int(alea.integers(5, 8))
    x, y = (int(v) for v in alea.integers(r + 1, taille - r - 1, 2))
    boite = (x - r, y - r, x + r, y + r)
    if forme == 0:
        crayon.ellipse(boite, fill=encre)
    elif forme == 1:
        crayon.rectangle(boite, fill=encre)
    elif forme == 2:
        crayon.ellipse(boite, outline=encre, width=2)
    elif forme == 3:
        crayon.rectangle((x - r, y - 2, x + r, y + 2), fill=encre)
    else:
        crayon.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], outline=encre, width=2)
    return np.asarray(image, dtype=np.float32) / 255 + alea.normal(0, 0.06, (taille, taille))


class Formes(Dataset):
    def __init__(self, par_classe, graine, moyenne=None, ecart=None):
        alea = np.random.default_rng(graine)
        self.cibles = np.repeat(np.arange(len(FORMES)), par_classe)
        self.images = np.stack([dessine(c, alea) for c in self.cibles]).astype(np.float32)
        self.moyenne = self.images.mean() if moyenne is None else moyenne
        self.ecart = self.images.std() if ecart is None else ecart

    def __len__(self):
        return len(self.cibles)

    def __getitem__(self, i):
        return torch.from_numpy((self.images[i] - self.moyenne) / self.ecart)[None], int(self.cibles[i])


def initialise(reseau):
    for nom, p in reseau.named_parameters():
        if p.dim() > 1:
            nn.init.kaiming_normal_(p, nonlinearity="relu")
        else:
            nn.init.zeros_(p)
    nn.init.normal_(reseau.sortie.weight, std=0.01)
    return reseau


class Reseau(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.corps = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.sortie = nn.Linear(32 * 3 * 3, n)

    def forward(self, x):
        return self.sortie(self.corps(x).flatten(1))


class Entraineur:
    def __init__(self, reseau, pas=0.05):
        self.reseau = reseau
        self.perte = nn.CrossEntropyLoss()
        self.optim = torch.optim.SGD(reseau.parameters(), lr=pas, momentum=0.9)

    def epoque(self, lots):
        self.reseau.train()
        somme = 0.0
        for x, y in lots:
            self.optim.zero_grad()
            perte = self.perte(self.reseau(x), y)
            perte.backward()
            self.optim.step()
            somme += perte.item()
        return somme / len(lots)

    @torch.no_grad()
    def justesse(self, lots):
        self.reseau.eval()
        bons = sum((self.reseau(x).argmax(1) == y).sum().item() for x, y in lots)
        return bons / len(lots.dataset)


if __name__ == "__main__":
    torch.manual_seed(2)
    apprentissage = Formes(120, graine=31)
    essai = Formes(50, 32, apprentissage.moyenne, apprentissage.ecart)
    lots = DataLoader(apprentissage, batch_size=30, shuffle=True)
    entraineur = Entraineur(initialise(Reseau(len(FORMES))))
    for e in range(7):
        print(f"époque {e + 1} : perte {entraineur.epoque(lots):.3f}")
    print(f"accuracy: {entraineur.justesse(DataLoader(essai, batch_size=50)):.3f}")
