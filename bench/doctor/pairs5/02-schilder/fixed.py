#!/usr/bin/env python3
# Verkehrszeichen nach ihrer Form erkennen: kleines Residualnetz, Bilder werden gezeichnet.
import argparse
import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

FORMEN = ["kreis", "dreieck", "dreieck_kopf", "quadrat", "raute", "kreuz", "stern", "pfeil"]


def eckpunkte(form, r):
    def ring(n, start, radius=r):
        return [(radius * math.cos(start + 2 * math.pi * k / n), radius * math.sin(start + 2 * math.pi * k / n))
                for k in range(n)]
    if form == "kreis":
        return ring(32, 0)
    if form == "dreieck":
        return ring(3, -math.pi / 2)
    if form == "dreieck_kopf":
        return ring(3, math.pi / 2)
    if form == "quadrat":
        return ring(4, math.pi / 4)
    if form == "raute":
        return ring(4, 0)
    if form == "kreuz":
        a = .34 * r
        return [(-a, -r), (a, -r), (a, -a), (r, -a), (r, a), (a, a), (a, r), (-a, r), (-a, a), (-r, a), (-r, -a), (-a, -a)]
    if form == "stern":
        aussen, innen = ring(5, -math.pi / 2), ring(5, -math.pi / 2 + math.pi / 5, 0.45 * r)
        return [p for paar in zip(aussen, innen) for p in paar]
    return [(-r, -r * .4), (0, -r * .4), (0, -r), (r, 0), (0, r), (0, r * .4), (-r, r * .4)]


class Schilder(Dataset):
    """Zeichnet alle Bilder einmal beim Anlegen (vierfache Auflösung, dann verkleinert)."""

    def __init__(self, anzahl, seite, startwert):
        zufall = random.Random(startwert)
        rauschen = np.random.default_rng(startwert)
        bilder, ziele = [], []
        for i in range(anzahl):
            ziel = i % len(FORMEN)
            bilder.append(self._zeichne(FORMEN[ziel], seite, zufall, rauschen))
            ziele.append(ziel)
        self.bilder = torch.from_numpy(np.stack(bilder)).unsqueeze(1)
        self.ziele = torch.tensor(ziele)

    @staticmethod
    def _zeichne(form, seite, zufall, rauschen):
        s = 4 * seite
        grund = zufall.randint(30, 110)
        farbe = grund + zufall.randint(45, 120)
        bild = Image.new("L", (s, s), grund)
        r = s * zufall.uniform(.2, .36)
        mx, my = (s / 2 + zufall.uniform(-.1, .1) * s for _ in range(2))
        dreh = zufall.gauss(0, .11)
        c, w = math.cos(dreh), math.sin(dreh)
        punkte = [(mx + x * c - y * w, my + x * w + y * c) for x, y in eckpunkte(form, r)]
        ImageDraw.Draw(bild).polygon(punkte, fill=farbe)
        feld = np.asarray(bild.resize((seite, seite), Image.BILINEAR), dtype=np.float32) / 255
        return (feld + rauschen.normal(0, .08, feld.shape)).clip(0, 1).astype(np.float32)

    def __len__(self):
        return len(self.ziele)

    def __getitem__(self, i):
        return (self.bilder[i] - .4) / .2, self.ziele[i]


class Block(nn.Module):
    def __init__(self, ein, aus, schritt):
        super().__init__()
        self.zweig = nn.Sequential(
            nn.Conv2d(ein, aus, 3, schritt, 1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(inplace=True),
            nn.Conv2d(aus, aus, 3, 1, 1, bias=False), nn.BatchNorm2d(aus))
        self.bruecke = nn.Sequential(nn.Conv2d(ein, aus, 1, schritt, bias=False), nn.BatchNorm2d(aus))

    def forward(self, x):
        return torch.relu(self.zweig(x) + self.bruecke(x))


class Formennetz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.stamm = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(inplace=True),
            Block(12, 24, 2), Block(24, 32, 2), nn.AdaptiveAvgPool2d(4))
        self.kopf = nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(inplace=True), nn.Linear(64, klassen))
        self._gewichte_setzen()

    def _gewichte_setzen(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.kopf(self.stamm(x))


def pruefen(netz, lader, verlust):
    netz.eval()
    summe = treffer = n = 0
    with torch.no_grad():
        for x, y in lader:
            z = netz(x)
            summe += verlust(z, y).item() * len(y)
            treffer += (z.argmax(dim=1) == y).sum().item()
            n += len(y)
    return summe / n, treffer / n


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--epochen", type=int, default=6)
    p.add_argument("--stapel", type=int, default=32)
    p.add_argument("--lr", type=float, default=0.04)
    p.add_argument("--seite", type=int, default=28)
    p.add_argument("--startwert", type=int, default=5)
    a = p.parse_args()

    torch.manual_seed(a.startwert)
    lernen, test = Schilder(1440, a.seite, a.startwert), Schilder(480, a.seite, a.startwert + 1000)
    schnitt = 1152
    lader = DataLoader(Subset(lernen, range(schnitt)), a.stapel, shuffle=True)
    vlader = DataLoader(Subset(lernen, range(schnitt, len(lernen))), 144)
    netz = Formennetz(len(FORMEN))
    verlust = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(netz.parameters(), lr=a.lr, momentum=.9)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, a.epochen * len(lader))

    bester, zustand = math.inf, None
    for epoche in range(1, a.epochen + 1):
        netz.train()
        summe = 0.
        for x, y in lader:
            opt.zero_grad()
            v = verlust(netz(x), y)
            v.backward()
            opt.step()
            plan.step()
            summe += v.item()
        vv, vt = pruefen(netz, vlader, verlust)
        print(f"Epoche {epoche}: Verlust {summe / len(lader):.3f} | Validierung {vv:.3f}, {vt:.1%}")
        if vv < bester:
            bester, zustand = vv, {k: w.clone() for k, w in netz.state_dict().items()}
    netz.load_state_dict(zustand)
    print(f"Test: {pruefen(netz, DataLoader(test, 120), verlust)[1]:.4f}")


if __name__ == "__main__":
    main()
