# -*- coding: utf-8 -*-
"""Kornklassen von Kies aus Bandaufnahmen.

Eine Kamera in fester Höhe nimmt einzelne Körner auf dem Förderband auf (ein Pixel = 1 mm).
Jedes Korn gehört zu einer von fünf Siebfraktionen.
"""
from collections import defaultdict

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

FRAKTIONEN = ["8/11", "11/14", "14/17", "17/20", "20/23"]   # Korndurchmesser in mm
KANTE = 32
RAND = 3


def zeichne_korn(durchmesser, rng):
    """Ein unregelmäßiges, schattiertes Korn auf rauem, ungleich beleuchtetem Grund."""
    yy, xx = np.mgrid[:KANTE, :KANTE].astype(np.float32)
    cy, cx = KANTE / 2 - 0.5 + rng.uniform(-2.5, 2.5, 2)
    winkel = np.arctan2(yy - cy, xx - cx)
    umriss = 1.0
    for ordnung in (2, 3, 5):
        umriss = umriss + rng.uniform(0, 0.07) * np.cos(ordnung * winkel + rng.uniform(0, 6.3))
    umriss = umriss / np.sqrt(np.mean(umriss ** 2)) * durchmesser / 2
    abstand = np.hypot(yy - cy, xx - cx)
    maske = 1 / (1 + np.exp((abstand - umriss) * 2))
    licht = rng.uniform(0, 6.3)
    schatten = 1 + 0.02 * ((xx - cx) * np.cos(licht) + (yy - cy) * np.sin(licht))
    grund = rng.uniform(0.2, 0.4) + 0.004 * rng.normal() * (xx - 16) + 0.004 * rng.normal() * (yy - 16)
    korn = rng.uniform(0.5, 0.85) * schatten
    bild = grund * (1 - maske) + korn * maske + rng.normal(0, 0.07, (KANTE, KANTE))
    return np.clip(bild, 0, 1).astype(np.float32)


def erzeuge(anzahl, saat):
    rng = np.random.default_rng(saat)
    klassen = rng.permutation(np.arange(anzahl) % len(FRAKTIONEN))
    grenzen = [tuple(map(float, name.split("/"))) for name in FRAKTIONEN]
    bilder = [zeichne_korn(rng.uniform(grenzen[k][0] + 0.2, grenzen[k][1] - 0.2), rng) for k in klassen]
    return torch.from_numpy(np.stack(bilder)).unsqueeze(1), torch.from_numpy(klassen).long()


class Spiegelung:
    def __call__(self, bild):
        if torch.rand(()) < 0.5:
            bild = bild.flip(-1)
        if torch.rand(()) < 0.5:
            bild = bild.flip(-2)
        return bild


class Zufallsausschnitt:
    """Ein zufälliger quadratischer Ausschnitt der Aufnahme, ausgegeben mit KANTE x KANTE Pixeln."""

    def __call__(self, bild):
        bild = F.pad(bild, (RAND,) * 4, mode="reflect")
        oben, links = torch.randint(0, bild.shape[-1] - KANTE + 1, (2,)).tolist()
        return bild[:, oben:oben + KANTE, links:links + KANTE]


class Kette:
    def __init__(self, *schritte):
        self.schritte = schritte

    def __call__(self, bild):
        for schritt in self.schritte:
            bild = schritt(bild)
        return bild


class Kornbilder(Dataset):
    def __init__(self, bilder, klassen, umformung=None):
        self.bilder, self.klassen, self.umformung = bilder, klassen, umformung

    def __len__(self):
        return len(self.klassen)

    def __getitem__(self, i):
        bild = self.bilder[i]
        if self.umformung is not None:
            bild = self.umformung(bild)
        return bild, self.klassen[i]


def stufe(ein, aus):
    return nn.Sequential(nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(inplace=True))


def baue_netz():
    return nn.Sequential(
        stufe(1, 12), nn.MaxPool2d(2),
        stufe(12, 24), nn.MaxPool2d(2),
        stufe(24, 32), nn.AdaptiveAvgPool2d(4),
        nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(inplace=True), nn.Linear(64, len(FRAKTIONEN)))


class Lehrer:
    def __init__(self, netz, lernrate):
        self.netz = netz
        self.kriterium = nn.CrossEntropyLoss()
        self.optimierer = torch.optim.Adam(netz.parameters(), lr=lernrate)
        self.verlauf = defaultdict(list)

    def lerne(self, lader, pruefung, epochen):
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimierer, T_max=epochen)
        for epoche in range(epochen):
            self.netz.train()
            summe = 0.0
            for x, y in lader:
                self.optimierer.zero_grad(set_to_none=True)
                verlust = self.kriterium(self.netz(x), y)
                verlust.backward()
                self.optimierer.step()
                summe += verlust.item() * len(y)
            plan.step()
            self.verlauf["verlust"].append(summe / len(lader.dataset))
            self.verlauf["pruefung"].append(self.genauigkeit(pruefung))
            print(f"Epoche {epoche + 1:2d}: Verlust {self.verlauf['verlust'][-1]:.3f}, "
                  f"Prüfung {self.verlauf['pruefung'][-1]:.3f}")

    @torch.no_grad()
    def genauigkeit(self, lader):
        self.netz.eval()
        treffer = sum(int((self.netz(x).argmax(1) == y).sum()) for x, y in lader)
        return treffer / len(lader.dataset)


def hauptprogramm():
    torch.set_num_threads(1)
    torch.manual_seed(11)
    x_lern, y_lern = erzeuge(1200, 1)
    x_prue, y_prue = erzeuge(300, 2)
    x_test, y_test = erzeuge(500, 3)
    mittel, streuung = x_lern.mean(), x_lern.std()
    x_lern, x_prue, x_test = ((x - mittel) / streuung for x in (x_lern, x_prue, x_test))

    umformung = Kette(Zufallsausschnitt(), Spiegelung())
    lern = DataLoader(Kornbilder(x_lern, y_lern, umformung), batch_size=48, shuffle=True)
    pruefung = DataLoader(Kornbilder(x_prue, y_prue), batch_size=150)
    test = DataLoader(Kornbilder(x_test, y_test), batch_size=250)

    lehrer = Lehrer(baue_netz(), lernrate=2e-3)
    lehrer.lerne(lern, pruefung, epochen=10)
    print(f"Genauigkeit im Test: {lehrer.genauigkeit(test):.4f}")


if __name__ == "__main__":
    hauptprogramm()
