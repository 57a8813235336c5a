"""Zellen zählen: wie viele Zellen (1 bis 5) zeigt ein Mikroskopbild von 36x36 Pixeln?"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Einstellungen:
    groesse: int = 36
    klassen: int = 5
    n_training: int = 1300
    n_pruefung: int = 300
    n_test: int = 400
    stapel: int = 50
    epochen: int = 14
    lernrate: float = 3e-3
    keim: int = 5


class Mikroskop:
    """Zeichnet Bilder mit getrennt liegenden Zellen auf ungleichmäßigem Grund."""

    def __init__(self, groesse: int, keim: int):
        self.groesse = groesse
        self.zufall = np.random.default_rng(keim)

    def _orte(self, anzahl):
        orte = []
        while len(orte) < anzahl:
            ort = self.zufall.uniform(5, self.groesse - 5, 2)
            if all(np.hypot(*(ort - o)) > 7.5 for o in orte):
                orte.append(ort)
        return orte

    def bild(self, anzahl):
        y, x = np.mgrid[: self.groesse, : self.groesse]
        grund = self.zufall.uniform(0.15, 0.35) + 0.1 * np.sin((x + self.zufall.uniform(0, 60)) / 14)
        bild = grund + self.zufall.normal(0, 0.05, x.shape)
        for cy, cx in self._orte(anzahl):
            a, b = self.zufall.uniform(2.0, 3.2, 2)
            d = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2
            bild = bild + self.zufall.uniform(0.35, 0.6) / (1 + np.exp(np.minimum(4 * (d - 1), 50)))
        return bild.astype(np.float32)

    def satz(self, n, klassen):
        anzahlen = self.zufall.permutation(np.arange(n) % klassen) + 1
        bilder = np.stack([self.bild(a) for a in anzahlen])[:, None]
        return torch.from_numpy(bilder), torch.from_numpy(anzahlen - 1)


class Verzerrung:
    """Spiegelt, dreht um Vielfache von 90 Grad und ändert Maßstab und Lage der Trainingsbilder."""

    def __call__(self, bilder):
        if torch.rand(()) < 0.5:
            bilder = bilder.flip(3)
        bilder = torch.rot90(bilder, int(torch.randint(4, ())), (2, 3))
        return self._massstab(bilder)

    @staticmethod
    def _massstab(bilder):
        n = len(bilder)
        s = 1.0 + 0.3 * torch.rand(n)
        spiel = (1 - s).abs()
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = s
        theta[:, 1, 1] = s
        theta[:, 0, 2] = spiel * (2 * torch.rand(n) - 1)
        theta[:, 1, 2] = spiel * (2 * torch.rand(n) - 1)
        gitter = F.affine_grid(theta, list(bilder.shape), align_corners=False)
        return F.grid_sample(bilder, gitter, padding_mode="border", align_corners=False)


class Zaehlnetz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.merkmale = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )
        self.kopf = nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, klassen))

    def forward(self, x):
        return self.kopf(self.merkmale(x).mean((2, 3)))


class Versuch:
    def __init__(self, e: Einstellungen):
        torch.manual_seed(e.keim)
        self.e = e
        training = Mikroskop(e.groesse, 100).satz(e.n_training, e.klassen)
        mittel, streuung = training[0].mean(), training[0].std()
        self.training = ((training[0] - mittel) / streuung, training[1])
        self.pruefung, self.test = (
            ((b - mittel) / streuung, a)
            for b, a in (Mikroskop(e.groesse, 101).satz(e.n_pruefung, e.klassen),
                         Mikroskop(e.groesse, 102).satz(e.n_test, e.klassen))
        )
        self.verzerrung = Verzerrung()
        self.netz = Zaehlnetz(e.klassen)
        self.optimierer = torch.optim.Adam(self.netz.parameters(), lr=e.lernrate)
        schritte = e.epochen * (e.n_training // e.stapel)
        self.plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimierer, schritte)

    def epoche(self):
        self.netz.train()
        bilder, anzahlen = self.training
        verlust_summe = 0.0
        teile = torch.randperm(len(bilder)).split(self.e.stapel)
        for teil in teile:
            verlust = F.cross_entropy(self.netz(self.verzerrung(bilder[teil])), anzahlen[teil])
            self.optimierer.zero_grad()
            verlust.backward()
            self.optimierer.step()
            self.plan.step()
            verlust_summe += verlust.item()
        return verlust_summe / len(teile)

    @torch.no_grad()
    def guete(self, satz):
        self.netz.eval()
        bilder, anzahlen = satz
        return (self.netz(bilder).argmax(1) == anzahlen).float().mean().item()

    def laufen(self):
        for nr in range(1, self.e.epochen + 1):
            verlust = self.epoche()
            print(f"Epoche {nr:2d}: Verlust {verlust:.3f}, Prüfung {self.guete(self.pruefung):.3f}")
        print(f"Genauigkeit im Test: {self.guete(self.test):.4f}")


if __name__ == "__main__":
    Versuch(Einstellungen()).laufen()
