"""Ablesen von Manometern: In welchem der sechs Bereiche steht der Zeiger?

Bewertet wird der gleitende Mittelwert der Gewichte (EMA), nicht das Netz aus dem letzten Schritt.
"""
import copy
import math

import numpy as np
import torch
from torch import nn

BEREICHE = 6
KANTE = 28


def zeichne(bereich, zufall):
    y, x = np.mgrid[0:KANTE, 0:KANTE].astype(float)
    mx, my = KANTE / 2 + zufall.uniform(-2, 2, 2)
    radius = zufall.uniform(9.5, 12.5)
    dx, dy = x - mx, y - my
    r = np.hypot(dx, dy)
    glas = 1 / (1 + np.exp((r - radius) * 2))
    ring = np.exp(-((r - radius) / .8) ** 2)
    # Skala von 225 Grad (links unten) bis -45 Grad (rechts unten)
    anteil = (bereich + zufall.uniform(.12, .88)) / BEREICHE
    winkel = math.radians(225 - 270 * anteil + zufall.normal(0, 2))
    laengs = dx * math.cos(winkel) - dy * math.sin(winkel)
    quer = dx * math.sin(winkel) + dy * math.cos(winkel)
    zeiger = np.exp(-(quer / .9) ** 2) * (laengs > -2) * (laengs < .82 * radius)
    bild = zufall.uniform(.2, .45) * (1 - glas) + zufall.uniform(.65, .95) * glas - .6 * ring
    for k in range(BEREICHE + 1):
        w = math.radians(225 - 270 * k / BEREICHE)
        bild -= .4 * np.exp(-((dx - .85 * radius * math.cos(w)) ** 2 + (dy + .85 * radius * math.sin(w)) ** 2) / .9)
    bild -= .65 * zeiger
    reflex = zufall.uniform(-.7, .7, 2) * radius
    bild += zufall.uniform(0, .45) * np.exp(-((dx - reflex[0]) ** 2 + (dy - reflex[1]) ** 2) / zufall.uniform(6, 20))
    return bild + zufall.normal(0, .15, bild.shape)


def aufnahmen(anzahl, zufall):
    # fotografiert bei langsam steigendem Druck, daher nach Bereich geordnet
    klassen = np.sort(zufall.integers(0, BEREICHE, anzahl))
    bilder = np.stack([zeichne(k, zufall) for k in klassen])
    return torch.tensor(bilder[:, None], dtype=torch.float32), torch.tensor(klassen)


class Ableser(nn.Module):
    def __init__(self):
        super().__init__()
        self.merkmale = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )
        self.kopf = nn.Sequential(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, BEREICHE))

    def forward(self, x):
        return self.kopf(self.merkmale(x))


class EMA:
    """Gleitender Mittelwert eines Netzes, Puffer werden übernommen."""

    def __init__(self, netz, traegheit=0.97):
        self.netz = copy.deepcopy(netz)
        self.netz.requires_grad_(False)
        self.traegheit = traegheit

    @torch.no_grad()
    def nachziehen(self, netz):
        for alt, neu in zip(self.netz.parameters(), netz.parameters()):
            alt.lerp_(neu, 1 - self.traegheit)
        for alt, neu in zip(self.netz.buffers(), netz.buffers()):
            alt.copy_(neu)


class Lauf:
    def __init__(self, netz, schritte, rate=2e-3):
        self.netz, self.ema = netz, EMA(netz)
        self.verlust = nn.CrossEntropyLoss()
        self.optimierer = torch.optim.Adam(netz.parameters(), lr=rate)
        self.plan = torch.optim.lr_scheduler.LinearLR(self.optimierer, 1.0, 0.05, total_iters=schritte)

    def epoche(self, bilder, klassen, stapel):
        self.netz.train()
        summe = 0.0
        for i in torch.randperm(len(bilder)).split(stapel):
            self.optimierer.zero_grad()
            v = self.verlust(self.netz(bilder[i]), klassen[i])
            v.backward()
            self.optimierer.step()
            self.plan.step()
            self.ema.nachziehen(self.netz)
            summe += v.item() * len(i)
        return summe / len(bilder)

    @torch.no_grad()
    def genauigkeit(self, bilder, klassen):
        self.ema.netz.eval()
        netz = self.ema.netz
        treffer = 0
        for b, k in zip(bilder.split(16), klassen.split(16)):
            treffer += (netz(b).argmax(1) == k).sum().item()
        return treffer / len(klassen)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(42)
    zufall = np.random.default_rng(42)
    bl, kl = aufnahmen(1500, zufall)
    bv, kv = aufnahmen(320, zufall)
    bt, kt = aufnahmen(480, zufall)
    mittel, streuung = bl.mean(), bl.std()
    bl, bv, bt = [(b - mittel) / streuung for b in (bl, bv, bt)]

    epochen, stapel = 7, 50
    lauf = Lauf(Ableser(), schritte=epochen * len(bl) // stapel)
    for e in range(1, epochen + 1):
        v = lauf.epoche(bl, kl, stapel)
        print(f"Epoche {e}: Verlust {v:.3f}, Validierung {lauf.genauigkeit(bv, kv):.3f}")
    print(f"Testgenauigkeit: {lauf.genauigkeit(bt, kt):.4f}")


if __name__ == "__main__":
    main()
