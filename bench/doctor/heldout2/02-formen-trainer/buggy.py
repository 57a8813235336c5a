"""Kleine Formen-Erkennung (Kreis, Quadrat, Dreieck, Kreuz) mit einem Faltungsnetz."""

import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

FORMEN = ["kreis", "quadrat", "dreieck", "kreuz"]


def zeichne(form, zufall):
    """Malt eine Form in zufälliger Größe und Lage auf grauen Grund."""
    bild = Image.new("L", (32, 32), zufall.randint(20, 90))
    stift = ImageDraw.Draw(bild)
    r = zufall.randint(6, 10)
    x, y = zufall.randint(r + 1, 31 - r), zufall.randint(r + 1, 31 - r)
    hell = zufall.randint(150, 250)
    if form == "kreis":
        stift.ellipse((x - r, y - r, x + r, y + r), fill=hell)
    elif form == "quadrat":
        stift.rectangle((x - r, y - r, x + r, y + r), fill=hell)
    elif form == "dreieck":
        stift.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=hell)
    else:
        stift.line((x - r, y - r, x + r, y + r), fill=hell, width=4)
        stift.line((x - r, y + r, x + r, y - r), fill=hell, width=4)
    return np.asarray(bild, dtype=np.float32)


class FormenDaten(Dataset):
    def __init__(self, anzahl, saat):
        zufall = random.Random(saat)
        rauschen = np.random.default_rng(saat)
        self.klassen = [zufall.randrange(len(FORMEN)) for _ in range(anzahl)]
        self.bilder = []
        for k in self.klassen:
            feld = zeichne(FORMEN[k], zufall) + rauschen.normal(0, 25, (32, 32))
            # auf Mittelwert 0 und Streuung 1 bringen
            feld = (feld - feld.mean()) / feld.std()
            self.bilder.append(torch.tensor(feld, dtype=torch.float32).unsqueeze(0))

    def __len__(self):
        return len(self.klassen)

    def __getitem__(self, i):
        return self.bilder[i], self.klassen[i]


class FormenNetz(nn.Module):
    def __init__(self):
        super().__init__()
        self.merkmale = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.kopf = nn.Linear(32 * 4, len(FORMEN))

    def forward(self, x):
        return self.kopf(self.merkmale(x).flatten(1))


class Trainer:
    def __init__(self, netz, lader_training, lader_pruefung):
        self.netz = netz
        self.lader_training = lader_training
        self.lader_pruefung = lader_pruefung
        self.verlust = nn.CrossEntropyLoss()
        self.optimierer = torch.optim.Adam(netz.parameters(), lr=2e-3)

    def epoche(self):
        self.netz.train()
        summe = 0
        for bilder, klassen in self.lader_training:
            self.optimierer.zero_grad()
            verlust = self.verlust(self.netz(bilder), klassen)
            verlust.backward()
            self.optimierer.step()
            summe += verlust
        return summe / len(self.lader_training)

    @torch.no_grad()
    def pruefe(self):
        self.netz.eval()
        richtig = gesamt = 0
        for bilder, klassen in self.lader_pruefung:
            richtig += (self.netz(bilder).argmax(1) == klassen).sum().item()
            gesamt += len(klassen)
        return richtig / gesamt

    def laufe(self, epochen):
        for e in range(epochen):
            mittel = self.epoche()
            genau = self.pruefe()
            print(f"Epoche {e + 1}: Verlust {mittel:.4f}, Genauigkeit {genau:.3f}")
        return genau


if __name__ == "__main__":
    torch.manual_seed(7)
    training = DataLoader(FormenDaten(1600, saat=1), batch_size=32, shuffle=True)
    pruefung = DataLoader(FormenDaten(400, saat=2), batch_size=100)
    genau = Trainer(FormenNetz(), training, pruefung).laufe(6)
    print(f"accuracy: {genau:.3f}")
