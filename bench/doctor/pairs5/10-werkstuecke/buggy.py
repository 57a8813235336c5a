# -*- coding: utf-8 -*-
# Uebungsprojekt Bildverarbeitung: Oberflaechen vortrainieren, danach Werkstuecke erkennen.
#   Stufe 1: grosser, billiger Datensatz (Streifenmuster) -> Merkmale lernen
#   Stufe 2: wenige Bilder von Werkstuecken -> Merkmale einfrieren, nur den Kopf lernen
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SAAT = 4
KANTE = 24
TEILE = ["Scheibe", "Ring", "Winkel", "Stab", "Kreuz"]

torch.manual_seed(SAAT)
zufall = np.random.default_rng(SAAT)
yy, xx = np.mgrid[0:KANTE, 0:KANTE].astype(np.float32)


def streifen(klasse):
    """Acht Klassen: vier Richtungen mal zwei Wellenlaengen."""
    winkel = (klasse % 4) * np.pi / 4 + zufall.normal(0, 0.08)
    laenge = (4.0, 7.5)[klasse // 4] * zufall.uniform(0.9, 1.1)
    welle = np.cos(2 * np.pi * (xx * np.cos(winkel) + yy * np.sin(winkel)) / laenge + zufall.uniform(0, 6.28))
    return 0.5 + zufall.uniform(0.2, 0.4) * welle


def werkstueck(klasse):
    mx, my = zufall.uniform(8, 16, 2)
    w = zufall.uniform(0, 2 * np.pi)
    u = (xx - mx) * np.cos(w) + (yy - my) * np.sin(w)
    v = -(xx - mx) * np.sin(w) + (yy - my) * np.cos(w)
    r, g = np.hypot(u, v), zufall.uniform(0.85, 1.2)
    dick, lang = 1.6 * g, 6.0 * g
    name = TEILE[klasse]
    if name == "Scheibe":
        maske = r < 5.0 * g
    elif name == "Ring":
        maske = (r < 6.0 * g) & (r > 3.2 * g)
    elif name == "Stab":
        maske = (abs(u) < 1.15 * lang) & (abs(v) < dick)
    elif name == "Kreuz":
        maske = ((abs(u) < lang) & (abs(v) < dick)) | ((abs(v) < lang) & (abs(u) < dick))
    else:
        maske = ((abs(v + lang / 2) < dick) & (abs(u) < lang / 2 + dick)) | ((abs(u + lang / 2) < dick) & (abs(v) < lang / 2 + dick))
    return 0.35 + zufall.uniform(0.3, 0.5) * maske + 0.1 * (xx / KANTE - 0.5) * zufall.normal()


def datensatz(zeichner, klassen, je_klasse):
    # Ordner fuer Ordner, wie von der Kamera abgelegt
    bilder, marken = [], []
    for k in range(klassen):
        for _ in range(je_klasse):
            bild = zeichner(k) + zufall.normal(0, 0.08, (KANTE, KANTE))
            bilder.append(np.clip(bild, 0, 1))
            marken.append(k)
    x = torch.tensor(np.array(bilder), dtype=torch.float32)[:, None]
    return x, torch.tensor(marken)


class Merkmale(nn.Sequential):
    def __init__(self):
        def stufe(ein, aus):
            return [nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(inplace=True)]
        super().__init__(*stufe(1, 16), nn.MaxPool2d(2), *stufe(16, 32), nn.MaxPool2d(2))


class Netz(nn.Module):
    """Merkmale + Kopf. Mit fest=True bleiben die Merkmale samt ihrer Statistik, wie sie sind."""

    def __init__(self, merkmale, klassen, fest=False):
        super().__init__()
        self.merkmale = merkmale
        self.kopf = nn.Sequential(
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(inplace=True),
            nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * 48, klassen))
        self.fest = fest
        if fest:
            self.merkmale.requires_grad_(False)

    def train(self, mode=True):
        super().train()
        if self.fest:
            self.merkmale.eval()
        return self

    def forward(self, x):
        return self.kopf(self.merkmale(x))


def trefferquote(netz, lader):
    netz.eval()
    treffer = 0
    with torch.no_grad():
        for x, y in lader:
            treffer += int((netz(x).argmax(1) == y).sum())
    return treffer / len(lader.dataset)


def lerne(netz, lader, pruef, runden, rate):
    frei = [p for p in netz.parameters() if p.requires_grad]
    opt = torch.optim.SGD(frei, lr=rate, momentum=0.9, nesterov=True)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=runden)
    kosten = nn.CrossEntropyLoss()
    for runde in range(runden):
        netz.train()
        summe = 0.0
        for x, y in lader:
            verlust = kosten(netz(x), y)
            opt.zero_grad()
            verlust.backward()
            opt.step()
            summe += float(verlust) * len(y)
        plan.step()
        print("Runde %2d  Verlust %.4f  Pruefung %.4f" % (runde + 1, summe / len(lader.dataset), trefferquote(netz, pruef)))


def lader(x, y, mittel, streuung, mischen=False):
    return DataLoader(TensorDataset((x - mittel) / streuung, y), batch_size=40, shuffle=mischen, drop_last=mischen)


print("Stufe 1: Streifen")
x1, y1 = datensatz(streifen, 8, 120)
x1p, y1p = datensatz(streifen, 8, 20)
m, s = x1.mean(), x1.std()
merkmale = Merkmale()
lerne(Netz(merkmale, 8), lader(x1, y1, m, s, True), lader(x1p, y1p, m, s), 3, 0.03)

print("Stufe 2: Werkstuecke")
x2, y2 = datensatz(werkstueck, len(TEILE), 160)
x2p, y2p = datensatz(werkstueck, len(TEILE), 40)
x2t, y2t = datensatz(werkstueck, len(TEILE), 80)
m, s = x2.mean(), x2.std()
netz = Netz(merkmale, len(TEILE), fest=True)
lerne(netz, lader(x2, y2, m, s, True), lader(x2p, y2p, m, s), 10, 0.03)

print("Trefferquote Test: %.4f" % trefferquote(netz, lader(x2t, y2t, m, s)))
