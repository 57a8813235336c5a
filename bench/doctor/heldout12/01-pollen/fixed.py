"""Pollenkörner nach Gattung bestimmen (synthetische Mikroskopbilder, 32 x 32 Pixel).

Das Netz bewertet jede Stelle der Merkmalskarte einzeln; die Stellen stimmen dann
gemeinsam über die Gattung ab. So stört es nicht, wo das Korn auf dem Objektträger liegt.
"""
import copy
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

GATTUNGEN = ["Birke", "Hasel", "Erle", "Linde", "Malve", "Kiefer", "Gras", "Ampfer", "Esche", "Ulme"]
KANTE = 32
EPOCHEN = 7
LOSGROESSE = 50
RATE = 0.05


def zeichne_korn(art, rng):
    """Ein Korn der Art `art`: Zahl der Ecken (Umriss) und Muster der Oberfläche."""
    ecken = (0, 3, 5, 3, 8, 2, 0, 5, 4, 8)[art]
    muster = (1, 0, 0, 2, 1, 0, 0, 2, 1, 0)[art]
    yy, xx = np.mgrid[:KANTE, :KANTE].astype(np.float32)
    my, mx = rng.uniform(12, 20, 2)
    radius = rng.uniform(8.0, 11.0)
    winkel = np.arctan2(yy - my, xx - mx)
    abstand = np.hypot(yy - my, xx - mx)
    hub = 0.20 if ecken else 0.0
    rand = radius * (1 + hub * np.cos(ecken * winkel + rng.uniform(0, 6.3)))
    koerper = 1 / (1 + np.exp((abstand - rand) * 1.5))
    if muster == 1:      # Ringe
        textur = 0.5 + 0.5 * np.cos(abstand * 6.28 / 4.0 + rng.uniform(0, 6.3))
    elif muster == 2:    # Körnung
        textur = (0.5 + 0.5 * np.cos(xx * 6.28 / 4 + rng.uniform(0, 6.3))
                  * np.cos(yy * 6.28 / 4 + rng.uniform(0, 6.3)))
    else:
        textur = np.full_like(xx, 0.5)
    grund = np.array([0.85, 0.80, 0.75]) + rng.normal(0, 0.05, 3)
    farbe = np.array([0.65, 0.45, 0.30]) + rng.normal(0, 0.08, 3)
    ton = farbe[:, None, None] + 0.30 * (textur - 0.5)
    bild = grund[:, None, None] * (1 - koerper) + ton * koerper
    bild = bild * rng.uniform(0.75, 1.1) + rng.normal(0, 0.06, bild.shape)
    return np.clip(bild, 0, 1).astype(np.float32)


def erzeuge(anzahl, saat):
    rng = np.random.default_rng(saat)
    arten = rng.integers(0, len(GATTUNGEN), anzahl)
    bilder = np.stack([zeichne_korn(a, rng) for a in arten])
    return torch.from_numpy(bilder), torch.from_numpy(arten)


def faltung(ein, aus):
    return nn.Sequential(nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(inplace=True))


class Abstimmungsnetz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.rumpf = nn.Sequential(
            faltung(3, 12), nn.MaxPool2d(2),
            faltung(12, 24), nn.MaxPool2d(2),
            faltung(24, 40), faltung(40, 48))
        self.bewertung = nn.Conv2d(48, klassen, 1)

    def forward(self, x):
        stimmen = self.bewertung(self.rumpf(x))
        return stimmen.mean(dim=(2, 3))


@torch.no_grad()
def pruefe(netz, lader):
    netz.eval()
    richtig = gesamt = 0
    for x, y in lader:
        richtig += (netz(x).argmax(1) == y).sum().item()
        gesamt += len(y)
    return richtig / gesamt


def trainiere(netz, lern_lader, pruef_lader):
    optimierer = torch.optim.SGD(netz.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4, nesterov=True)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimierer, EPOCHEN * len(lern_lader))
    bester, stand = -1.0, None
    for epoche in range(1, EPOCHEN + 1):
        netz.train()
        summe = 0.0
        for x, y in lern_lader:
            optimierer.zero_grad()
            verlust = F.cross_entropy(netz(x), y)
            verlust.backward()
            optimierer.step()
            plan.step()
            summe += verlust.item() * len(y)
        guete = pruefe(netz, pruef_lader)
        print(f"Epoche {epoche:2d}  Verlust {summe / len(lern_lader.dataset):.3f}  Prüfgüte {guete:.3f}")
        if guete > bester:
            bester, stand = guete, copy.deepcopy(netz.state_dict())
    netz.load_state_dict(stand)


def haupt():
    torch.manual_seed(11)
    torch.set_num_threads(1)
    beginn = time.time()
    (xl, yl), (xp, yp), (xt, yt) = erzeuge(1500, 1), erzeuge(400, 2), erzeuge(600, 3)
    mittel, streuung = xl.mean((0, 2, 3), keepdim=True), xl.std((0, 2, 3), keepdim=True)
    norm = lambda x: (x - mittel) / streuung
    lern = DataLoader(TensorDataset(norm(xl), yl), LOSGROESSE, shuffle=True, drop_last=True)
    pruef = DataLoader(TensorDataset(norm(xp), yp), 200)
    test = DataLoader(TensorDataset(norm(xt), yt), 200)
    netz = Abstimmungsnetz(len(GATTUNGEN))
    trainiere(netz, lern, pruef)
    print(f"Dauer {time.time() - beginn:.1f} s")
    print(f"Testgüte: {pruefe(netz, test):.4f}")


if __name__ == "__main__":
    haupt()
