# Straßenbelag aus der Fahrzeugkamera erkennen (Ausschnitte 24x24, grau)
import copy
import random

import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, TensorDataset

BELAEGE = ("Asphalt", "Beton", "Pflaster", "Schotter", "Sand", "nass")


def ausschnitt(zufall, art, n=24):
    y, x = np.mgrid[:n, :n].astype(np.float32)
    phase = zufall.uniform(0, 2 * np.pi, 2)
    koernung = zufall.normal(size=(n, n))
    if art == 0:
        bild = gaussian_filter(koernung, zufall.uniform(0.5, 0.8)) * 0.5
    elif art == 1:
        bild = gaussian_filter(koernung, zufall.uniform(0.5, 0.8)) * 0.4
        fuge = np.abs(x + zufall.uniform(-0.4, 0.4) * y - zufall.uniform(6, 20))
        bild -= 0.8 * np.exp(-fuge ** 2)
    elif art == 2:
        teilung = zufall.uniform(5, 7.5)
        bild = 0.35 * (np.cos(2 * np.pi * x / teilung + phase[0]) + np.cos(2 * np.pi * y / teilung + phase[1]))
        bild = bild + gaussian_filter(koernung, 0.7) * 0.4
    elif art == 3:
        bild = gaussian_filter(koernung, zufall.uniform(1.0, 1.5)) * 1.9
    elif art == 4:
        wellen = zufall.uniform(5, 8)
        bild = 0.45 * np.sin(2 * np.pi * (y + zufall.uniform(-0.5, 0.5) * x) / wellen + phase[0])
        bild = bild + gaussian_filter(koernung, 0.7) * 0.4
    else:
        bild = gaussian_filter(koernung, (zufall.uniform(2.0, 3.0), 0.7)) * 1.3
    licht = zufall.uniform(-0.4, 0.4) + zufall.uniform(-0.02, 0.02) * (x - n / 2)
    return zufall.uniform(0.6, 1.2) * bild + licht + zufall.normal(0, 0.40, (n, n))


def datensatz(anzahl, saat):
    zufall = np.random.default_rng(saat)
    klassen = zufall.integers(0, len(BELAEGE), anzahl)
    bilder = np.stack([ausschnitt(zufall, k) for k in klassen]).astype(np.float32)
    return torch.from_numpy(bilder).unsqueeze(1), torch.from_numpy(klassen)


class Netz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.merkmale = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        )
        self.kopf = nn.Linear(32 * 4, klassen)

    def forward(self, x):
        return self.kopf(self.merkmale(x).flatten(1))


class Trainer:
    def __init__(self, netz, train, val, rate=0.004):
        self.netz, self.train, self.val = netz, train, val
        self.verlust = nn.CrossEntropyLoss()
        self.opt = torch.optim.SGD(netz.parameters(), lr=rate, momentum=0.9)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.opt, mode="max", factor=0.1, patience=2,
            threshold=0.005, threshold_mode="abs", min_lr=1e-5)
        self.bester_stand, self.beste_quote = None, -1.0

    def epoche(self):
        self.netz.train()
        summe = 0.0
        for bild, klasse in self.train:
            self.opt.zero_grad(set_to_none=True)
            verlust = self.verlust(self.netz(bild), klasse)
            verlust.backward()
            self.opt.step()
            summe += verlust.item() * len(klasse)
        return summe / len(self.train.dataset)

    @torch.no_grad()
    def quote(self, daten):
        """Anteil richtig erkannter Ausschnitte."""
        self.netz.eval()
        richtig = sum((self.netz(b).argmax(1) == k).sum().item() for b, k in daten)
        return richtig / len(daten.dataset)

    def laufen(self, epochen):
        for e in range(epochen):
            verlust = self.epoche()
            quote = self.quote(self.val)
            if quote > self.beste_quote:
                self.beste_quote, self.bester_stand = quote, copy.deepcopy(self.netz.state_dict())
            print(f"Epoche {e + 1:2d}  Verlust {verlust:.3f}  Validierung {100 * quote:.1f} %")
            self.plateau.step(quote)
        self.netz.load_state_dict(self.bester_stand)


def main():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    x, y = datensatz(1100, saat=100)
    mittel, streuung = x.mean(), x.std()

    def lader(x, y, mischen=False):
        return DataLoader(TensorDataset((x - mittel) / streuung, y), batch_size=50, shuffle=mischen)

    train, val = lader(x, y, True), lader(*datensatz(600, saat=101))
    test = lader(*datensatz(500, saat=102))
    trainer = Trainer(Netz(len(BELAEGE)), train, val)
    trainer.laufen(14)
    print(f"Test ({len(test.dataset)} Ausschnitte): {trainer.quote(test):.4f}")


if __name__ == "__main__":
    main()
