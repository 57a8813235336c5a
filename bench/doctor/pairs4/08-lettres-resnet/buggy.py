# lettres dessinées avec PIL, petit réseau résiduel
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

LETTRES = "AEKOSTXZ"
COTE = 20
police = ImageFont.load_default()


def dessine(lettre, rng):
    petit = Image.new("L", (12, 14), 0)
    ImageDraw.Draw(petit).text((3, 1), lettre, fill=255, font=police)
    grand = petit.crop(petit.getbbox()).resize((int(rng.integers(10, 14)), int(rng.integers(11, 15))), Image.BILINEAR)
    grand = grand.rotate(float(rng.uniform(-12, 12)), Image.BILINEAR)
    fond = Image.new("L", (COTE, COTE), 0)
    fond.paste(grand, (int(rng.integers(2, 6)), int(rng.integers(2, 6))))
    return np.asarray(fond, dtype=np.float32) / 255


def lot(n, graine):
    rng = np.random.default_rng(graine)
    cibles = rng.permutation(np.arange(n) % len(LETTRES))
    images = np.stack([dessine(LETTRES[c], rng) for c in cibles])
    images = images + rng.normal(0, 0.15, images.shape)
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1), torch.tensor(cibles)


class Bloc(nn.Module):
    def __init__(self, entree, sortie, pas=1):
        super().__init__()
        self.conv1 = nn.Conv2d(entree, sortie, 3, pas, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(sortie)
        self.conv2 = nn.Conv2d(sortie, sortie, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(sortie)
        self.raccourci = nn.Identity()
        if pas != 1 or entree != sortie:
            self.raccourci = nn.Sequential(
                nn.Conv2d(entree, sortie, 1, pas, bias=False), nn.BatchNorm2d(sortie)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.raccourci(x))


class MiniResNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.tronc = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.blocs = nn.Sequential(Bloc(12, 24, 2), Bloc(24, 24), Bloc(24, 48, 2))
        self.sortie = nn.Linear(48, classes)
        self.initialise()

    def initialise(self):
        for nom, p in self.named_parameters():
            if p.ndim == 4:
                nn.init.kaiming_normal_(p, mode="fan_out", nonlinearity="relu")
            elif p.ndim == 2:
                nn.init.normal_(p, std=0.05)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        return self.sortie(self.blocs(self.tronc(x)).mean((2, 3)))


def exactitude(modele, x, y):
    modele.eval()
    with torch.no_grad():
        return (modele(x).argmax(1) == y).float().mean().item()


def entraine(modele, x, y, epoques=5, taille=32):
    optim = torch.optim.SGD(modele.parameters(), lr=0.05, momentum=0.9)
    for e in range(epoques):
        modele.train()
        somme = 0.0
        for indices in torch.randperm(len(x)).split(taille):
            perte = F.cross_entropy(modele(x[indices]), y[indices])
            optim.zero_grad()
            perte.backward()
            optim.step()
            somme += perte.item() * len(indices)
        print("époque", e, "perte", round(somme / len(x), 4))


torch.manual_seed(4)
x_app, y_app = lot(960, 40)
x_test, y_test = lot(320, 41)
centre, echelle = x_app.mean(), x_app.std()
x_app, x_test = (x_app - centre) / echelle, (x_test - centre) / echelle

reseau = MiniResNet(len(LETTRES))
entraine(reseau, x_app, y_app)
print(f"accuracy: {exactitude(reseau, x_test, y_test):.3f}")
