# Pilzhüte von oben: fünf Gattungen nach Farbe, Rand und Flecken unterscheiden
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

SAAT = 11
GATTUNGEN = ("Fliegenpilz", "Röhrling", "Täubling", "Schirmling", "Milchling")
KANTE = 28

random.seed(SAAT)
np.random.seed(SAAT)
torch.manual_seed(SAAT)


# ---------------------------------------------------------------- Bilder
def male_pilz(art, z):
    y, x = np.mgrid[:KANTE, :KANTE]
    mx, my = z.uniform(11, 17, 2)
    radius = z.uniform(7, 11)
    winkel = np.arctan2(y - my, x - mx)
    abstand = np.hypot(x - mx, y - my)
    boden = np.array([0.30, 0.27, 0.16]) * z.uniform(0.7, 1.4)
    bild = np.ones((KANTE, KANTE, 3)) * boden + z.normal(0, 0.06, (KANTE, KANTE, 1))
    grund = {0: (0.70, 0.25, 0.18), 1: (0.50, 0.34, 0.20), 2: (0.68, 0.28, 0.22),
             3: (0.60, 0.50, 0.38), 4: (0.62, 0.40, 0.24)}[art]
    farbe = np.array(grund) + z.normal(0, 0.05, 3)
    hut = abstand < radius
    schatten = 1 - 0.35 * (abstand / radius) ** 2
    bild[hut] = (farbe * schatten[..., None])[hut]
    if art == 0:                                    # weiße Flocken
        for _ in range(z.integers(4, 9)):
            w, r = z.uniform(0, 6.28), z.uniform(0, radius * 0.8)
            fleck = np.hypot(x - mx - r * np.cos(w), y - my - r * np.sin(w)) < z.uniform(0.8, 1.5)
            bild[fleck] = 0.85
    elif art == 3:                                  # dunkler Buckel, schuppig
        bild[abstand < radius * 0.3] *= 0.55
        bild[hut & (z.random((KANTE, KANTE)) < 0.15)] *= 0.7
    elif art == 4:                                  # konzentrische Zonen
        bild *= 1 - 0.3 * (hut * (np.sin(abstand * 2.0) > 0.2))[..., None]
    elif art == 2:                                  # geriefter Rand
        rand = hut & (abstand > radius * 0.7) & (np.sin(winkel * 16) > 0.2)
        bild[rand] *= 0.65
    bild = bild * z.uniform(0.75, 1.25) + z.normal(0, 0.05, bild.shape)
    return (np.clip(bild, 0, 1) * 255).astype(np.uint8)


def sammlung(n, saat):
    z = np.random.default_rng(saat)
    arten = z.integers(0, len(GATTUNGEN), n)
    return np.stack([male_pilz(a, z) for a in arten]), arten


# ---------------------------------------------------------------- Schritte der Vorverarbeitung
def als_fliesskomma(b):
    return torch.from_numpy(b).permute(2, 0, 1).float() / 255


def normiere(b):
    return (b - MITTEL) / STREUUNG


def drehen(b):
    return torch.rot90(b, random.randint(0, 3), (1, 2))


def verschieben(b, weite=5):
    b = F.pad(b, (weite,) * 4)
    i, j = random.randint(0, 2 * weite), random.randint(0, 2 * weite)
    return b[:, i:i + KANTE, j:j + KANTE]


def belichten(b):
    return b * random.uniform(0.6, 1.4) + random.uniform(-0.4, 0.4)


def abdecken(b, groesse=13):
    b = b.clone()
    i, j = random.randint(0, KANTE - groesse), random.randint(0, KANTE - groesse)
    b[:, i:i + groesse, j:j + groesse] = 0
    return b


BASIS = [als_fliesskomma, normiere]


def pipeline(*zusatz):
    """Grundschritte, danach die zusätzlichen Schritte in der angegebenen Reihenfolge."""
    schritte = BASIS
    schritte += zusatz
    return schritte


class Pilzbilder(Dataset):
    def __init__(self, bilder, arten, schritte):
        self.bilder, self.arten, self.schritte = bilder, arten, schritte

    def __len__(self):
        return len(self.bilder)

    def __getitem__(self, i):
        b = self.bilder[i]
        for schritt in self.schritte:
            b = schritt(b)
        return b, int(self.arten[i])


class Pilznetz(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.c2, self.n2 = nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.c3, self.n3 = nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)
        self.aus = nn.Linear(64, len(GATTUNGEN))

    def forward(self, b):
        b = F.max_pool2d(F.relu(self.n1(self.c1(b))), 2)
        b = F.max_pool2d(F.relu(self.n2(self.c2(b))), 2)
        b = F.relu(self.n3(self.c3(b)))
        return self.aus(b.mean((2, 3)))


def trefferquote(netz, lader):
    netz.eval()
    richtig = gesamt = 0
    with torch.no_grad():
        for b, a in lader:
            richtig += int((netz(b).argmax(1) == a).sum())
            gesamt += len(a)
    return richtig / gesamt


lern_b, lern_a = sammlung(1300, 1)
pruef_b, pruef_a = sammlung(500, 2)
MITTEL = torch.tensor(lern_b.reshape(-1, 3).mean(0) / 255, dtype=torch.float32).view(3, 1, 1)
STREUUNG = torch.tensor(lern_b.reshape(-1, 3).std(0) / 255, dtype=torch.float32).view(3, 1, 1)

lernmenge = Pilzbilder(lern_b, lern_a, pipeline(drehen, verschieben, belichten, abdecken))
pruefmenge = Pilzbilder(pruef_b, pruef_a, pipeline())
lernlader = DataLoader(lernmenge, batch_size=50, shuffle=True)
prueflader = DataLoader(pruefmenge, batch_size=125)

netz = Pilznetz()
EPOCHEN = 8
optimierer = optim.AdamW(netz.parameters(), lr=4e-3, weight_decay=1e-3)
plan = optim.lr_scheduler.OneCycleLR(optimierer, 4e-3, epochs=EPOCHEN, steps_per_epoch=len(lernlader))

for epoche in range(EPOCHEN):
    netz.train()
    summe = 0.0
    for b, a in lernlader:
        optimierer.zero_grad()
        verlust = F.cross_entropy(netz(b), a)
        verlust.backward()
        optimierer.step()
        plan.step()
        summe += verlust.item()
    print(f"Epoche {epoche + 1}: Verlust {summe / len(lernlader):.3f}")

print(f"Treffer auf der Prüfmenge: {trefferquote(netz, prueflader):.4f}")
