"""Holzarten-Demo: vier Maserungen werden als PNG-Ordner abgelegt, geladen und mit einem kleinen CNN gelernt."""
import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

KLASSEN = ["ahorn", "buche", "eiche", "fichte"]


def maserung(klasse, rng, seite=28):
    yy, xx = np.mgrid[0:seite, 0:seite].astype(np.float32)
    phase = rng.uniform(0, 6.28)
    winkel = {"ahorn": 0.0, "buche": 0.8, "eiche": 1.57, "fichte": 2.36}[klasse] + rng.normal(0, 0.1)
    welle = np.sin((xx * np.cos(winkel) + yy * np.sin(winkel)) * rng.uniform(0.9, 1.3) + phase)
    grund = np.array([150, 110, 80], np.float32) + rng.normal(0, 12, 3)
    bild = grund + 35 * welle[..., None] + rng.normal(0, 18, (seite, seite, 3))
    return bild.clip(0, 240).astype(np.uint8)


def schreibe_ordner(wurzel, je_klasse, rng):
    for klasse in KLASSEN:
        ziel = wurzel / klasse
        ziel.mkdir(parents=True)
        for i in range(je_klasse):
            Image.fromarray(maserung(klasse, rng)).save(ziel / f"{i:04d}.png")


class HolzOrdner(Dataset):
    """Liest einen Klassenordner einmal ein und hält alle Bilder skaliert im Speicher."""

    mittel = torch.tensor([0.58, 0.43, 0.32]).view(3, 1, 1)
    streuung = torch.tensor([0.13, 0.13, 0.13]).view(3, 1, 1)

    def __init__(self, wurzel):
        pfade = sorted(Path(wurzel).glob("*/*.png"))
        self.ziele = [KLASSEN.index(p.parent.name) for p in pfade]
        roh = np.stack([np.asarray(Image.open(p).convert("RGB")) for p in pfade])
        self.vorrat = self._skaliere(roh)

    @staticmethod
    def _skaliere(roh):
        vorrat = np.empty(roh.shape, dtype=np.float32)
        for i, bild in enumerate(roh):
            vorrat[i] = bild / 255.0
        return vorrat

    def __len__(self):
        return len(self.ziele)

    def __getitem__(self, i):
        x = torch.from_numpy(self.vorrat[i]).permute(2, 0, 1).float()
        return (x - self.mittel) / self.streuung, self.ziele[i]


def block(ein, aus):
    return nn.Sequential(
        nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(), nn.MaxPool2d(2)
    )


def netz():
    return nn.Sequential(
        block(3, 16), block(16, 32), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 7 * 7, len(KLASSEN))
    )


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochen", type=int, default=4)
    ap.add_argument("--stapel", type=int, default=32)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--saat", type=int, default=5)
    arg = ap.parse_args()

    torch.manual_seed(arg.saat)
    rng = np.random.default_rng(arg.saat)
    with tempfile.TemporaryDirectory() as tmp:
        schreibe_ordner(Path(tmp) / "train", 160, rng)
        schreibe_ordner(Path(tmp) / "test", 50, rng)
        lern = HolzOrdner(Path(tmp) / "train")
        test = HolzOrdner(Path(tmp) / "test")

    lader = DataLoader(lern, batch_size=arg.stapel, shuffle=True)
    pruefer = DataLoader(test, batch_size=50)
    modell, verlust = netz(), nn.CrossEntropyLoss()
    optimierer = torch.optim.Adam(modell.parameters(), lr=arg.lr)

    for epoche in range(1, arg.epochen + 1):
        modell.train()
        summe = 0.0
        for x, y in lader:
            optimierer.zero_grad()
            fehler = verlust(modell(x), y)
            fehler.backward()
            optimierer.step()
            summe += fehler.item() * len(y)
        print(f"Epoche {epoche}: Verlust {summe / len(lern):.3f}")

    modell.eval()
    treffer = 0
    with torch.no_grad():
        for x, y in pruefer:
            treffer += (modell(x).argmax(dim=1) == y).sum().item()
    print(f"accuracy: {treffer / len(test):.3f}")


if __name__ == "__main__":
    main()
