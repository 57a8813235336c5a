"""Seltene Klassen: der Trainingssatz ist absichtlich schief (8 : 4 : 2 : 1).

Ein WeightedRandomSampler zieht mit Zurücklegen, sodass jede Klasse im Mittel
gleich oft vorkommt.  `shuffle` fehlt deshalb mit Absicht.  Die Validierung ist
ausgewogen, und zusätzlich zählt ein Fokalverlust leichte Beispiele weniger; er
beginnt darum bei 0.75 ** 1.5 * ln 4 = 0.90 statt bei ln 4.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

ANZAHL_TRAIN = [640, 320, 160, 80]
ANZAHL_VALID = [75, 75, 75, 75]
KANTE = 18


def zeichne(klasse, n, zufall):
    zeilen, spalten = np.mgrid[0:KANTE, 0:KANTE]
    cx, cy = zufall.uniform(6.5, 10.5, (2, n, 1, 1))
    dx, dy = spalten - cx, zeilen - cy
    r = zufall.uniform(3.5, 5.5, (n, 1, 1))
    if klasse == 0:
        maske = np.hypot(dx, dy) < r                                 # Scheibe
    elif klasse == 1:
        maske = np.abs(np.hypot(dx, dy) - r) < 1                     # Ring
    elif klasse == 2:
        maske = (np.minimum(np.abs(dx), np.abs(dy)) < 1) & (np.maximum(np.abs(dx), np.abs(dy)) < r)  # Kreuz
    else:
        maske = np.abs(np.abs(dx) - np.abs(dy)) < 1.2                # Schrägkreuz
        maske &= np.maximum(np.abs(dx), np.abs(dy)) < r
    bild = maske * zufall.uniform(0.6, 1.2, (n, 1, 1)) + zufall.normal(0, 0.2, (n, KANTE, KANTE))
    return bild.astype(np.float32)


def satz(anzahlen, zufall):
    bilder = np.concatenate([zeichne(k, n, zufall) for k, n in enumerate(anzahlen)])
    marken = np.repeat(np.arange(len(anzahlen)), anzahlen)
    return torch.from_numpy(bilder)[:, None], torch.from_numpy(marken)


def fokal(logits, marken, gamma=1.5):
    logp = F.log_softmax(logits, dim=1).gather(1, marken[:, None]).squeeze(1)
    return (-(1 - logp.exp()) ** gamma * logp).mean()


torch.manual_seed(31)
zufall = np.random.default_rng(31)
x, y = satz(ANZAHL_TRAIN, zufall)
xv, yv = satz(ANZAHL_VALID, zufall)
mittel, streuung = x.mean(), x.std()
x, xv = (x - mittel) / streuung, (xv - mittel) / streuung

gewicht = (1.0 / torch.bincount(y).double())[y]
zieher = WeightedRandomSampler(gewicht, num_samples=len(y), replacement=True)
lader = DataLoader(TensorDataset(x, y), batch_size=48, sampler=zieher)

netz = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(12), nn.LeakyReLU(0.1),
    nn.Conv2d(12, 24, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(24), nn.LeakyReLU(0.1),
    nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.LeakyReLU(0.1),
    nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(32, 4),
)
opt = torch.optim.Adam(netz.parameters(), lr=2e-3)

for epoche in range(5):
    netz.train()
    summe = 0.0
    for xb, yb in lader:
        verlust = fokal(netz(xb), yb)
        opt.zero_grad()
        verlust.backward()
        opt.step()
        summe += verlust.item()
    netz.eval()
    with torch.no_grad():
        treffer = netz(xv).argmax(1) == yv
    je_klasse = [f"{treffer[yv == k].float().mean().item():.2f}" for k in range(4)]
    print(f"Epoche {epoche}: Verlust {summe / len(lader):.3f}, je Klasse {je_klasse}")

print(f"accuracy: {treffer.float().mean().item():.3f}")
