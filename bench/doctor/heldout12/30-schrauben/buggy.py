"""Schraubenköpfe nach Antrieb sortieren (Schlitz, Kreuz, Sechskant, Torx).

Bilder liegen als PNG in Klassenordnern, wie sie aus der Kamerastation kommen. Eigener BatchSampler, damit jedes
Bild je Epoche genau einmal gelesen wird und der unvollständige letzte Stapel wegfällt.
"""
import math
import pathlib
import random
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

ANTRIEBE = ["kreuz", "schlitz", "sechskant", "torx"]
KANTE = 24


def zeichne(antrieb, rng):
    g = KANTE * 4
    blech = int(rng.integers(40, 120))
    bild = Image.new("L", (g, g), blech)
    st = ImageDraw.Draw(bild)
    cx, cy = rng.uniform(0.42, 0.58, 2) * g
    r = rng.uniform(0.28, 0.4) * g
    kopf = int(np.clip(blech + rng.uniform(60, 120), 0, 255))
    st.ellipse([cx - r, cy - r, cx + r, cy + r], fill=kopf)
    tief = int(kopf - rng.uniform(35, 80))
    w = rng.uniform(0, 2 * math.pi)
    q = r * rng.uniform(0.5, 0.72)

    def strich(winkel, dicke):
        dx, dy = q * math.cos(winkel), q * math.sin(winkel)
        st.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=tief, width=dicke)

    d = int(rng.integers(6, 10))
    if antrieb == "schlitz":
        strich(w, d)
    elif antrieb == "kreuz":
        strich(w, d)
        strich(w + math.pi / 2, d)
    elif antrieb == "sechskant":
        st.polygon([(cx + q * math.cos(w + k * math.pi / 3), cy + q * math.sin(w + k * math.pi / 3)) for k in range(6)], fill=tief)
    else:
        for k in range(3):
            strich(w + k * math.pi / 3, d)
    a = np.asarray(bild.resize((KANTE, KANTE), Image.BOX), np.float32)
    glanz = np.hypot(*(np.mgrid[:KANTE, :KANTE] - rng.uniform(0, KANTE, (2, 1, 1))))
    a = a + 50 * np.exp(-(glanz / 5) ** 2) + rng.normal(0, 13, a.shape)
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def lege_ab(wurzel, teil, je_klasse, rng):
    for antrieb in ANTRIEBE:
        ordner = wurzel / teil / antrieb
        ordner.mkdir(parents=True)
        for i in range(je_klasse):
            zeichne(antrieb, rng).save(ordner / f"{i:04d}.png")


class Klassenordner(Dataset):
    def __init__(self, pfad, spiegeln=False):
        self.eintraege = [(f, k) for k, name in enumerate(ANTRIEBE) for f in sorted((pfad / name).glob("*.png"))]
        self.spiegeln = spiegeln

    def __len__(self):
        return len(self.eintraege)

    def __getitem__(self, i):
        datei, klasse = self.eintraege[i]
        with Image.open(datei) as bild:
            x = torch.from_numpy(np.array(bild, np.float32))[None]
        x = (x - 120.0) / 45.0
        if self.spiegeln and random.random() < 0.5:
            x = x.flip(-1)
        return x, klasse


class Stapelfolge(Sampler):
    """Liefert Listen von Indizes, in jeder Epoche neu gemischt."""

    def __init__(self, anzahl, groesse):
        self.anzahl, self.groesse = anzahl, groesse

    def __len__(self):
        return self.anzahl // self.groesse

    def __iter__(self):
        indizes = list(range(self.anzahl))
        stapel = [indizes[k * self.groesse:(k + 1) * self.groesse] for k in range(len(self))]
        random.shuffle(stapel)
        yield from stapel


class Netz(nn.Module):
    def __init__(self, breite=14):
        super().__init__()
        lagen, ein = [], 1
        for aus in (breite, 2 * breite, 3 * breite):
            lagen += [nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(), nn.MaxPool2d(2)]
            ein = aus
        self.merkmale = nn.Sequential(*lagen)
        self.kopf = nn.Linear(ein * 9, len(ANTRIEBE))

    def forward(self, x):
        return self.kopf(self.merkmale(x).flatten(1))


@torch.no_grad()
def pruefe(netz, lader):
    netz.eval()
    treffer = gesamt = 0
    for x, k in lader:
        treffer += (netz(x).argmax(1) == k).sum().item()
        gesamt += len(k)
    return treffer / gesamt


def lerne(netz, lader, pruef_lader, epochen, rate):
    opt = torch.optim.Adam(netz.parameters(), lr=rate)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochen)
    kriterium = nn.CrossEntropyLoss()
    for epoche in range(1, epochen + 1):
        netz.train()
        verluste = []
        for x, k in lader:
            opt.zero_grad()
            verlust = kriterium(netz(x), k)
            verlust.backward()
            opt.step()
            verluste.append(verlust.item())
        plan.step()
        print(f"Epoche {epoche:2d}: Verlust {np.mean(verluste):.3f}, Prüfgenauigkeit {pruefe(netz, pruef_lader):.3f}")


def main():
    torch.set_num_threads(1)
    random.seed(8)
    torch.manual_seed(8)
    rng = np.random.default_rng(8)
    with tempfile.TemporaryDirectory() as tmp:
        wurzel = pathlib.Path(tmp)
        for teil, je_klasse in (("lernen", 260), ("pruefen", 60), ("test", 100)):
            lege_ab(wurzel, teil, je_klasse, rng)
        lernen = Klassenordner(wurzel / "lernen", spiegeln=True)
        lader = DataLoader(lernen, batch_sampler=Stapelfolge(len(lernen), 32))
        pruef_lader = DataLoader(Klassenordner(wurzel / "pruefen"), batch_size=120)
        test_lader = DataLoader(Klassenordner(wurzel / "test"), batch_size=200)
        netz = Netz()
        lerne(netz, lader, pruef_lader, epochen=9, rate=3e-3)
        print(f"Testgenauigkeit {pruefe(netz, test_lader):.4f}")


if __name__ == "__main__":
    main()
