"""Mienenspiel: kleine gezeichnete Gesichter nach Gesichtsausdruck ordnen (Kosinus-Klassifikator)."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

AUSDRUCK = ["froh", "traurig", "erstaunt", "zornig", "neutral", "zwinkernd", "schief", "schlafend"]
GROESSE = 32


def gesicht(art, rng):
    hell, dunkel = int(rng.integers(150, 255)), int(rng.integers(0, 80))
    bild = Image.new("L", (GROESSE * 2, GROESSE * 2), int(rng.integers(60, 200)))
    z = ImageDraw.Draw(bild)
    mx, my = 32 + rng.uniform(-5, 5, 2)
    r = rng.uniform(20, 26)
    z.ellipse([mx - r, my - r, mx + r, my + r], fill=hell)
    a, ay, g = 0.4 * r, my - 0.25 * r, rng.uniform(2.2, 3.5)
    for seite in (-1, 1):
        x = mx + seite * a
        if art == "schlafend" or (art == "zwinkernd" and seite == 1):
            z.line([x - 5, ay, x + 5, ay], fill=dunkel, width=2)
        else:
            z.ellipse([x - g, ay - g, x + g, ay + g], fill=dunkel)
        if art == "zornig":
            z.line([x - seite * 5, ay - 4, x + seite * 5, ay - 9], fill=dunkel, width=2)
    b, uy, d = rng.uniform(0.4, 0.55) * r, my + 0.4 * r, 3
    if art in ("froh", "zwinkernd"):
        z.arc([mx - b, uy - 9, mx + b, uy + 7], 15, 165, fill=dunkel, width=d)
    elif art in ("traurig", "zornig"):
        z.arc([mx - b, uy - 2, mx + b, uy + 14], 195, 345, fill=dunkel, width=d)
    elif art == "erstaunt":
        z.ellipse([mx - 5, uy - 5, mx + 5, uy + 7], fill=dunkel)
    elif art == "schief":
        z.line([mx - b, uy + 3, mx + b, uy - 4], fill=dunkel, width=d)
    else:
        z.line([mx - b, uy, mx + b, uy], fill=dunkel, width=d)
    bild = bild.rotate(rng.normal(0, 7), resample=Image.BILINEAR, fillcolor=hell).resize((GROESSE, GROESSE), Image.BOX)
    return np.asarray(bild, np.float32) / 255 + rng.normal(0, 0.09, (GROESSE, GROESSE))


def menge(n, saat):
    rng = np.random.default_rng(saat)
    ziele = rng.permutation(np.arange(n) % len(AUSDRUCK))
    bilder = np.stack([gesicht(AUSDRUCK[k], rng) for k in ziele]).astype(np.float32)
    return torch.from_numpy(bilder)[:, None], torch.from_numpy(ziele)


class KosinusKopf(nn.Module):
    """Ähnlichkeit zwischen Merkmal und Klassenprototyp, mit Temperatur."""

    def __init__(self, merkmale, klassen, tau=0.1):
        super().__init__()
        self.prototypen = nn.Parameter(torch.randn(klassen, merkmale) / math.sqrt(merkmale))
        self.tau = tau

    def forward(self, h):
        aehnlich = F.linear(F.normalize(h, dim=1), F.normalize(self.prototypen, dim=1))
        return aehnlich * self.tau


class Netz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.stamm = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.GELU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.GELU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1), nn.GELU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 4 * 4, 64),
        )
        self.kopf = KosinusKopf(64, klassen)

    def forward(self, x):
        return self.kopf(self.stamm(x))


class Lehrer:
    def __init__(self, netz, lernrate, losgroesse):
        self.netz, self.los = netz, losgroesse
        self.opt = torch.optim.SGD(netz.parameters(), lr=lernrate, momentum=0.9)

    def _runde(self, x, y):
        self.netz.train()
        verlust = 0.0
        for i in torch.randperm(len(x)).split(self.los):
            self.opt.zero_grad()
            l = F.cross_entropy(self.netz(x[i]), y[i])
            l.backward()
            self.opt.step()
            verlust += l.item() * len(i)
        return verlust / len(x)

    def lehre(self, x, y, runden):
        plan = torch.optim.lr_scheduler.OneCycleLR(
            self.opt, max_lr=self.opt.param_groups[0]["lr"], total_steps=runden, pct_start=0.3)
        for nr in range(runden):
            print(f"Runde {nr + 1:2d}: Verlust {self._runde(x, y):.3f}")
            if nr + 1 < runden:
                plan.step()

    @torch.no_grad()
    def pruefe(self, x, y):
        self.netz.eval()
        return (self.netz(x).argmax(1) == y).double().mean().item()


if __name__ == "__main__":
    torch.manual_seed(2024)
    x_lern, y_lern = menge(1600, 31)
    x_pruef, y_pruef = menge(640, 32)
    mittel, streuung = x_lern.mean(), x_lern.std()
    lehrer = Lehrer(Netz(len(AUSDRUCK)), lernrate=0.03, losgroesse=40)
    lehrer.lehre((x_lern - mittel) / streuung, y_lern, runden=7)
    print(f"Trefferquote (Prüfmenge): {lehrer.pruefe((x_pruef - mittel) / streuung, y_pruef):.4f}")
