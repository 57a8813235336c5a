"""Formen erkennen: fünf gezeichnete Formen, kleines CNN, Auswertung auf Validierungsbildern."""
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(11)
random.seed(11)
np.random.seed(11)

KLASSEN = ["kreis", "quadrat", "dreieck", "kreuz", "raute"]
KANTE = 24


def zeichne(klasse):
    bild = Image.new("L", (KANTE, KANTE), random.randint(20, 70))
    stift = ImageDraw.Draw(bild)
    r = random.randint(5, 7)
    x = random.randint(r + 1, KANTE - r - 2)
    y = random.randint(r + 1, KANTE - r - 2)
    hell = random.randint(130, 220)
    if klasse == 0:
        stift.ellipse((x - r, y - r, x + r, y + r), fill=hell)
    elif klasse == 1:
        stift.rectangle((x - r, y - r, x + r, y + r), fill=hell)
    elif klasse == 2:
        stift.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=hell)
    elif klasse == 3:
        stift.rectangle((x - r, y - 1, x + r, y + 1), fill=hell)
        stift.rectangle((x - 1, y - r, x + 1, y + r), fill=hell)
    else:
        stift.polygon([(x, y - r), (x + r, y), (x, y + r), (x - r, y)], fill=hell)
    feld = np.asarray(bild, dtype=np.float32)
    feld = feld + np.random.normal(0, 8, feld.shape)
    return feld.clip(0, 255).astype(np.uint8)


def baue(n):
    ziele = np.arange(n) % len(KLASSEN)
    return np.stack([zeichne(k) for k in ziele]), torch.from_numpy(ziele).long()


# --- Bildoperationen: jede nimmt und liefert einen Tensor 1xHxW -----------------
def skalieren(t):
    return t / 255.0


def zentrieren(t):
    return (t - 0.27) / 0.22


def helligkeit(t):
    return t * (0.7 + 0.6 * torch.rand(1)) + 0.3 * torch.randn(1)


def verdecken(t):
    t = t.clone()
    oben, links = torch.randint(0, KANTE - 10, (2,)).tolist()
    t[:, oben:oben + 11, links:links + 11] = 0
    return t


def rauschen(t):
    return t + 0.6 * torch.randn_like(t)


BASIS = [skalieren, zentrieren]


def ops_fuer(phase):
    ops = BASIS
    if phase == "training":
        ops += [helligkeit, verdecken, rauschen]
    return ops


class Formen(Dataset):
    def __init__(self, bilder, ziele, phase):
        self.bilder, self.ziele = bilder, ziele
        self.ops = ops_fuer(phase)

    def __len__(self):
        return len(self.ziele)

    def __getitem__(self, i):
        t = torch.from_numpy(self.bilder[i]).float()[None]
        for op in self.ops:
            t = op(t)
        return t, self.ziele[i]


def block(ein, aus):
    return nn.Sequential(nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU())


netz = nn.Sequential(
    block(1, 12), nn.MaxPool2d(2), block(12, 24), nn.MaxPool2d(2), block(24, 48),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48 * 4, len(KLASSEN)),
)

lern = DataLoader(Formen(*baue(1600), "training"), batch_size=64, shuffle=True)
pruef = DataLoader(Formen(*baue(500), "pruefung"), batch_size=100)

EPOCHEN = 6
opt = torch.optim.Adam(netz.parameters(), lr=5e-3)
plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHEN)
for epoche in range(EPOCHEN):
    netz.train()
    summe = 0.0
    for x, y in lern:
        opt.zero_grad()
        verlust = F.cross_entropy(netz(x), y)
        verlust.backward()
        opt.step()
        summe += verlust.item()
    plan.step()
    print(f"Epoche {epoche + 1}: Verlust {summe / len(lern):.3f}")

netz.eval()
with torch.no_grad():
    richtig = sum((netz(x).argmax(1) == y).sum().item() for x, y in pruef)
print(f"accuracy: {richtig / len(pruef.dataset):.3f}")
