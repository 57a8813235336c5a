"""Kellotaulun tuntiviisarin suunta: kahdeksan luokkaa, satunnaisrajaus opetuksessa."""
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset


@dataclass
class Asetukset:
    luokkia: int = 8
    kuvan_koko: int = 40      # piirretyn kuvan sivu
    rajaus: int = 32          # verkolle annettavan palan sivu
    kanavat: tuple = (12, 24, 32)
    opetus: int = 1600
    testi: int = 640
    era: int = 40
    kierroksia: int = 10
    oppimisnopeus: float = 2e-3
    siemen: int = 13


def piirra_kello(tunti, a, rng):
    k = 3
    n = a.kuvan_koko * k
    tausta, taulu = rng.integers(0, 256, 2)
    viisari = int(taulu) - 130 if taulu > 128 else int(taulu) + 130
    kuva = Image.new("L", (n, n), int(tausta))
    d = ImageDraw.Draw(kuva)
    cx, cy = n / 2 + rng.uniform(-2, 2, 2) * k
    r = rng.uniform(9.5, 12) * k
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(taulu))
    for m in range(12):
        t = m * math.pi / 6
        d.line([cx + 0.88 * r * math.sin(t), cy - 0.88 * r * math.cos(t),
                cx + r * math.sin(t), cy - r * math.cos(t)], fill=viisari, width=k)
    kallistus = rng.normal(0, 0.05)
    for kulma, pituus, paksuus in (
        (2 * math.pi * tunti / a.luokkia + rng.normal(0, 0.09), rng.uniform(0.48, 0.58), 3.0),
        (rng.uniform(0, 2 * math.pi), rng.uniform(0.78, 0.86), 1.2),
    ):
        t = kulma + kallistus
        d.line([cx, cy, cx + pituus * r * math.sin(t), cy - pituus * r * math.cos(t)],
               fill=viisari, width=int(paksuus * k))
    pieni = np.asarray(kuva.resize((a.kuvan_koko, a.kuvan_koko), Image.BOX), np.float32) / 255
    return pieni + rng.normal(0, 0.06, pieni.shape)


class Kellot(Dataset):
    def __init__(self, a, n, siemen, satunnainen, tilasto=None):
        rng = np.random.default_rng(siemen)
        self.a, self.satunnainen = a, satunnainen
        self.luokat = torch.from_numpy(rng.permutation(np.arange(n) % a.luokkia))
        kuvat = torch.from_numpy(np.stack([piirra_kello(int(t), a, rng) for t in self.luokat])).float()
        self.tilasto = tilasto or (kuvat.mean().item(), kuvat.std().item())
        self.kuvat = ((kuvat - self.tilasto[0]) / self.tilasto[1]).unsqueeze(1)

    def __len__(self):
        return len(self.luokat)

    def __getitem__(self, i):
        vara = self.a.kuvan_koko - self.a.rajaus
        if self.satunnainen:
            y, x = torch.randint(0, vara + 1, (2,)).tolist()
        else:
            y = x = vara // 2
        pala = self.kuvat[i, :, y:y + self.a.rajaus, x:x + self.a.rajaus]
        return pala, self.luokat[i]


class KelloVerkko(nn.Module):
    def __init__(self, a):
        super().__init__()
        osat, sisaan = [], 1
        for ulos in a.kanavat:
            osat += [nn.Conv2d(sisaan, ulos, 3, padding=1, bias=False), nn.BatchNorm2d(ulos),
                     nn.ReLU(), nn.MaxPool2d(2)]
            sisaan = ulos
        self.piirteet = nn.Sequential(*osat)
        sivu = a.kuvan_koko // 2 ** len(a.kanavat)
        self.luokitin = nn.Sequential(nn.Linear(sisaan * sivu * sivu, 64), nn.ReLU(), nn.Linear(64, a.luokkia))

    def forward(self, x):
        return self.luokitin(self.piirteet(x).flatten(1))


def opeta(verkko, lataaja, a):
    havio = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(verkko.parameters(), lr=a.oppimisnopeus)
    aikataulu = torch.optim.lr_scheduler.StepLR(opt, step_size=7, gamma=0.2)
    for kierros in range(a.kierroksia):
        verkko.train()
        yht = 0.0
        for x, y in lataaja:
            opt.zero_grad()
            h = havio(verkko(x), y)
            h.backward()
            opt.step()
            yht += h.item() * len(y)
        aikataulu.step()
        print(f"kierros {kierros + 1}: häviö {yht / len(lataaja.dataset):.3f}")


@torch.no_grad()
def testaa(verkko, lataaja):
    verkko.eval()
    oikein = sum((verkko(x).argmax(1) == y).sum().item() for x, y in lataaja)
    return oikein / len(lataaja.dataset)


if __name__ == "__main__":
    a = Asetukset()
    torch.manual_seed(a.siemen)
    opetus = Kellot(a, a.opetus, 1, satunnainen=True)
    testi = Kellot(a, a.testi, 2, satunnainen=False, tilasto=opetus.tilasto)
    verkko = KelloVerkko(a)
    opeta(verkko, DataLoader(opetus, batch_size=a.era, shuffle=True), a)
    print(f"tarkkuus testissä: {testaa(verkko, DataLoader(testi, batch_size=160)):.4f}")
