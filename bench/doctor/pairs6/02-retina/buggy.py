# Fundusbilder: Normalbefund / Drusen / Exsudate.
# Zwei Auszüge aus dem Kliniksystem (Erstuntersuchung 2019, Kontrolle 2022) werden zusammengeführt.
import csv
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import nn


@dataclass
class Konfig:
    patienten: int = 150
    pro_termin: int = 4
    kante: int = 32
    epochen: int = 12
    stapel: int = 48
    lernrate: float = 0.03
    momentum: float = 0.9
    testanteil: float = 0.25
    saat: int = 11


BEFUNDE = ("normal", "drusen", "exsudate")


# --- Daten anlegen -----------------------------------------------------------------------------
def auge(rng, kante, befund):
    """Was am Auge eines Patienten über die Jahre bleibt."""
    yy, xx = np.mgrid[:kante, :kante] / kante
    gefaesse = np.zeros((kante, kante))
    for _ in range(4):
        weg = 0.5 + rng.normal(0, 0.22) + rng.uniform(0.05, 0.16) * np.sin(
            rng.uniform(3, 8) * xx + rng.uniform(0, 6))
        gefaesse += np.exp(-((yy - weg) / 0.022) ** 2)
    flecken = np.zeros((kante, kante))
    anzahl = rng.poisson({"normal": 0.8, "drusen": 14, "exsudate": 7}[befund])
    weite = {"normal": 0.026, "drusen": 0.026, "exsudate": 0.055}[befund] * rng.lognormal(0, 0.22)
    for _ in range(anzahl):
        cy, cx = rng.uniform(0.15, 0.85, 2)
        flecken += np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * weite ** 2))
    farbe = np.array([0.62, 0.34, 0.18]) * rng.lognormal(0, 0.12, 3)
    return gefaesse.clip(0, 1), flecken.clip(0, 1.2), farbe


def aufnahme(rng, auge_, kante):
    gefaesse, flecken, farbe = auge_
    schub = tuple(rng.integers(-2, 3, 2))
    g, f = (np.roll(a, schub, (0, 1)) for a in (gefaesse, flecken))
    licht = 1 + 1.5 * gaussian_filter(rng.normal(0, 1, (kante, kante)), 8)
    bild = farbe * licht[..., None] * (1 - 0.35 * g[..., None])
    bild = bild + 0.3 * f[..., None] * np.array([1.0, 0.95, 0.4])
    bild = (bild * rng.uniform(0.85, 1.15) + rng.normal(0, 0.05, bild.shape)).clip(0, 1)
    return Image.fromarray((bild * 255).astype(np.uint8))


def klinik_anlegen(ort, k):
    rng = np.random.default_rng(k.saat)
    akten = [(nr, BEFUNDE[i % 3]) for i, nr in enumerate(rng.choice(9000, k.patienten, replace=False))]
    augen = {nr: auge(rng, k.kante, befund) for nr, befund in akten}
    for jahr, schreibweise in (("2019", "{:06d}"), ("2022", "{:d}")):
        (ort / jahr).mkdir()
        with open(ort / f"auszug_{jahr}.csv", "w", newline="") as fh:
            w = csv.writer(fh)
            w.writerow(["bild", "patient", "befund"])
            for nr, befund in akten:
                for a in range(k.pro_termin):
                    name = f"{jahr}/{rng.integers(10**9):09d}.png"
                    aufnahme(rng, augen[nr], k.kante).save(ort / name)
                    w.writerow([name, schreibweise.format(nr), befund])


# --- Einlesen und Teilen -----------------------------------------------------------------------
def einlesen(ort):
    zeilen = []
    for auszug in sorted(ort.glob("auszug_*.csv")):
        with open(auszug, newline="") as fh:
            for z in csv.DictReader(fh):
                zeilen.append({"bild": ort / z["bild"], "patient": z["patient"],
                               "klasse": BEFUNDE.index(z["befund"])})
    return zeilen


def teilen(zeilen, anteil, saat):
    rng = np.random.default_rng(saat)
    testpatienten = set()
    for klasse in range(len(BEFUNDE)):
        leute = sorted({z["patient"] for z in zeilen if z["klasse"] == klasse})
        rng.shuffle(leute)
        testpatienten.update(leute[:round(anteil * len(leute))])
    lern = [z for z in zeilen if z["patient"] not in testpatienten]
    test = [z for z in zeilen if z["patient"] in testpatienten]
    return lern, test


def tensoren(zeilen):
    x = np.stack([np.asarray(Image.open(z["bild"])) for z in zeilen])
    return (torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255,
            torch.tensor([z["klasse"] for z in zeilen]))


# --- Netz und Training -------------------------------------------------------------------------
class FundusNetz(nn.Module):
    def __init__(self, klassen=3):
        super().__init__()
        def block(ein, aus):
            return nn.Sequential(nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(),
                                 nn.MaxPool2d(2))
        self.koerper = nn.Sequential(block(3, 20), block(20, 32), block(32, 48))
        self.kopf = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 4 * 4, klassen))

    def forward(self, x):
        return self.kopf(self.koerper(x))


class Trainer:
    def __init__(self, netz, k):
        self.netz, self.k = netz, k
        self.verlust = nn.CrossEntropyLoss()
        self.opt = torch.optim.SGD(netz.parameters(), k.lernrate, momentum=k.momentum, nesterov=True)
        self.plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, k.epochen)

    def epoche(self, x, y):
        self.netz.train()
        folge = torch.randperm(len(x))
        summe = 0.0
        stapel = [s for s in folge.split(self.k.stapel) if len(s) > 8]
        for idx in stapel:
            self.opt.zero_grad(set_to_none=True)
            v = self.verlust(self.netz(x[idx]), y[idx])
            v.backward()
            self.opt.step()
            summe += v.item()
        self.plan.step()
        return summe / len(stapel)

    @torch.inference_mode()
    def trefferquote(self, x, y):
        self.netz.eval()
        return (self.netz(x).argmax(1) == y).float().mean().item()


def main():
    k = Konfig()
    torch.set_num_threads(1)
    torch.manual_seed(k.saat)
    with tempfile.TemporaryDirectory() as tmp:
        klinik_anlegen(Path(tmp), k)
        lern, test = teilen(einlesen(Path(tmp)), k.testanteil, k.saat)
        (xl, yl), (xt, yt) = tensoren(lern), tensoren(test)
    m, s = xl.mean((0, 2, 3), keepdim=True), xl.std((0, 2, 3), keepdim=True)
    xl, xt = (xl - m) / s, (xt - m) / s
    trainer = Trainer(FundusNetz(), k)
    for e in range(k.epochen):
        print(f"Epoche {e + 1:2d}  Verlust {trainer.epoche(xl, yl):.3f}")
    print(f"Trefferquote auf Testpatienten: {trainer.trefferquote(xt, yt):.4f}")


if __name__ == "__main__":
    main()
