# Verzierung von Tonscherben erkennen.
# Dateinamen der Aufnahmen: <Verzierung>/K<Gefäßnummer><Bruchstück>_<Aufnahme>.png, z. B. kamm/K031a_2.png
import re
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

ARTEN = ["glatt", "kamm", "rille", "stempel"]
PIXEL = 24
SAAT = 8


# ---------------------------------------------------------------- Aufnahmen erzeugen
def gefaess(zufall):
    """Eigenheiten eines Gefäßes: Ton, Magerung, Ausführung der Verzierung."""
    flecken = ndimage.gaussian_filter(zufall.normal(0, 1, (PIXEL, PIXEL)), 2.5)
    return dict(ton=np.array([150, 105, 75]) + zufall.normal(0, 30, 3),
                flecken=flecken / flecken.std() * zufall.uniform(4, 8),
                abstand=zufall.uniform(3.4, 5.2), tiefe=zufall.uniform(21, 38), richtung=zufall.normal(0, 0.5))


def aufnahme(art, g, zufall):
    y, x = np.mgrid[0:PIXEL, 0:PIXEL] - PIXEL / 2
    w = g["richtung"] + zufall.normal(0, 0.15)
    u = x * np.cos(w) + y * np.sin(w) + zufall.uniform(0, 9)
    v = y * np.cos(w) - x * np.sin(w) + zufall.uniform(0, 9)
    a = 2 * np.pi / g["abstand"]
    if art == "rille":
        muster = (np.cos(a * u / 1.6) > 0.75) * 1.0
    elif art == "kamm":
        muster = 0.9 * (np.cos(a * u) > 0.2) * (np.cos(a * v / 4) > -0.3)
    elif art == "stempel":
        muster = (np.cos(a * u / 1.4) > 0.35) * (np.cos(a * v / 1.4) > 0.35) * 1.3
    else:
        muster = np.zeros_like(u)
    relief = -g["tiefe"] * ndimage.gaussian_filter(muster, 0.5) + np.roll(g["flecken"], zufall.integers(-2, 3, 2), (0, 1))
    bild = (g["ton"] + relief[..., None]) * zufall.uniform(0.93, 1.07)
    bild = bild + zufall.normal(0, 9, bild.shape)
    return Image.fromarray(bild.clip(0, 255).astype(np.uint8))


def archiv_anlegen(ordner, zufall, gefaesse=132):
    for nr in range(gefaesse):
        art = ARTEN[nr % len(ARTEN)]
        g = gefaess(zufall)
        (ordner / art).mkdir(exist_ok=True)
        for stueck in "abcd"[:zufall.integers(2, 5)]:
            for k in range(3):
                aufnahme(art, g, zufall).save(ordner / art / f"K{nr:03d}{stueck}_{k}.png")


# ---------------------------------------------------------------- Aufteilung
def herkunft(pfad):
    """Was nicht getrennt werden darf, liegt in derselben Teilmenge."""
    return re.match(r"(K\d+[a-z])_\d+", pfad.stem).group(1)


def aufteilen(pfade, zufall, anteile=(0.6, 0.2)):
    """Teilt je Art die Gruppen auf, damit jede Art überall vorkommt."""
    teile = ([], [], [])
    for art in ARTEN:
        eigene = [p for p in pfade if p.parent.name == art]
        gruppen = sorted({herkunft(p) for p in eigene})
        zufall.shuffle(gruppen)
        g1, g2 = int(anteile[0] * len(gruppen)), int(sum(anteile) * len(gruppen))
        for teil, auswahl in zip(teile, (gruppen[:g1], gruppen[g1:g2], gruppen[g2:])):
            teil += [p for p in eigene if herkunft(p) in auswahl]
    return teile


def laden(pfade):
    bilder = np.stack([np.asarray(Image.open(p)) for p in pfade])
    ziele = torch.tensor([ARTEN.index(p.parent.name) for p in pfade])
    return torch.from_numpy(bilder).permute(0, 3, 1, 2).float() / 255, ziele


# ---------------------------------------------------------------- Netz
class Scherbennetz(nn.Module):
    def __init__(self, breite=24):
        super().__init__()
        self.c1 = nn.Conv2d(3, breite, 5, padding=2, bias=False)
        self.n1 = nn.BatchNorm2d(breite)
        self.c2 = nn.Conv2d(breite, 2 * breite, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(2 * breite)
        self.aus = nn.Linear(2 * breite * 9, len(ARTEN))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.avg_pool2d(F.relu(self.n2(self.c2(x))), 4)
        return self.aus(F.dropout(x.flatten(1), 0.2, self.training))


def spiegeln(x):
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(2), x)


@torch.no_grad()
def trefferquote(netz, x, y):
    netz.eval()
    return (torch.cat([netz(t) for t in x.split(200)]).argmax(1) == y).float().mean().item()


def trainieren(netz, x, y, xv, yv, epochen=18, stapel=32):
    optimierer = torch.optim.Adam(netz.parameters(), lr=4e-3)
    abfall = torch.optim.lr_scheduler.CosineAnnealingLR(optimierer, epochen)
    for e in range(epochen):
        netz.train()
        summe = 0.0
        folge = torch.randperm(len(x))
        for i in folge[:len(x) // stapel * stapel].split(stapel):
            optimierer.zero_grad()
            verlust = F.cross_entropy(netz(spiegeln(x[i])), y[i])
            verlust.backward()
            optimierer.step()
            summe += verlust.item()
        abfall.step()
        print(f"Epoche {e + 1:2d}: Verlust {summe / (len(x) // stapel):.3f}, Validierung {trefferquote(netz, xv, yv):.3f}")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SAAT)
    zufall = np.random.default_rng(SAAT)
    with tempfile.TemporaryDirectory() as tmp:
        archiv_anlegen(Path(tmp), zufall)
        teile = aufteilen(sorted(Path(tmp).glob("*/*.png")), zufall)
        (x, y), (xv, yv), (xt, yt) = map(laden, teile)
    print(f"{len(x)} Bilder zum Lernen, {len(xv)} zur Validierung, {len(xt)} zur Prüfung")
    mittel, streuung = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, xv, xt = ((b - mittel) / streuung for b in (x, xv, xt))
    netz = Scherbennetz()
    trainieren(netz, x, y, xv, yv)
    print(f"Trefferquote auf den Prüfbildern (letzte Epoche): {trefferquote(netz, xt, yt):.4f}")


if __name__ == "__main__":
    main()
