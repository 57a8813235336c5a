"""Schilderkennung: Buchstaben aus einem Zip-Archiv, Klassen nach Schildnummer."""
import io
import random
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

ZEICHEN = "AEHKMRSTXZ48"
GROESSE = 20


def zeichne(buchstabe, zufall, schrift):
    grund = zufall.randint(0, 90)
    bild = Image.new("L", (GROESSE, GROESSE), grund)
    stift = ImageDraw.Draw(bild)
    stift.text((zufall.randint(1, 6), zufall.randint(-3, 2)), buchstabe, fill=zufall.randint(150, 255), font=schrift)
    return bild.rotate(zufall.uniform(-10, 10), fillcolor=grund)


def schreibe_archiv(pfad, je_klasse, keim):
    zufall = random.Random(keim)
    schrift = ImageFont.load_default(size=17)
    with zipfile.ZipFile(pfad, "w") as archiv:
        for nummer, buchstabe in enumerate(ZEICHEN, start=1):
            for i in range(je_klasse):
                puffer = io.BytesIO()
                zeichne(buchstabe, zufall, schrift).save(puffer, format="PNG")
                archiv.writestr(f"{nummer}/{i:03d}.png", puffer.getvalue())


class ZipBilder(Dataset):
    """Reads the whole archive once; a folder in it is a class."""

    def __init__(self, pfad, klassen=None, statistik=None):
        with zipfile.ZipFile(pfad) as archiv:
            namen = [n for n in archiv.namelist() if n.endswith(".png")]
            ordner = [n.split("/")[0] for n in namen]
            self.klassen = klassen or sorted(set(ordner))
            index = {k: i for i, k in enumerate(self.klassen)}
            roh = [np.asarray(Image.open(io.BytesIO(archiv.read(n)))) for n in namen]
        self.bilder = torch.from_numpy(np.stack(roh)).float().div(255).unsqueeze(1)
        self.ziele = torch.tensor([index[o] for o in ordner])
        self.statistik = statistik or (self.bilder.mean().item(), self.bilder.std().item())

    def __len__(self):
        return len(self.ziele)

    def __getitem__(self, i):
        mittel, streuung = self.statistik
        return (self.bilder[i] - mittel) / streuung, self.ziele[i]


class Netz(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(32)
        self.aus = nn.Linear(32 * (GROESSE // 4) ** 2, klassen)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        return self.aus(x.flatten(1))


def trainiere(netz, lader, epochen):
    opt = torch.optim.Adam(netz.parameters(), lr=2e-3)
    for epoche in range(epochen):
        netz.train()
        summe = 0.0
        for x, y in lader:
            opt.zero_grad()
            verlust = F.cross_entropy(netz(x), y)
            verlust.backward()
            opt.step()
            summe += verlust.item()
        print(f"Epoche {epoche}: Verlust {summe / len(lader):.3f}")


@torch.no_grad()
def pruefe(netz, lader):
    netz.eval()
    treffer = sum((netz(x).argmax(1) == y).sum().item() for x, y in lader)
    return treffer / len(lader.dataset)


def lade(ordner):
    schilder = [str(i) for i in range(1, len(ZEICHEN) + 1)]
    lern = ZipBilder(ordner / "train.zip", klassen=schilder)
    test = ZipBilder(ordner / "test.zip", statistik=lern.statistik)
    return lern, test


def main():
    torch.manual_seed(4)
    with tempfile.TemporaryDirectory() as tmp:
        ordner = Path(tmp)
        schreibe_archiv(ordner / "train.zip", 60, keim=1)
        schreibe_archiv(ordner / "test.zip", 25, keim=2)
        lern, test = lade(ordner)
    netz = Netz(len(lern.klassen))
    trainiere(netz, DataLoader(lern, 48, shuffle=True), epochen=4)
    print(f"accuracy: {pruefe(netz, DataLoader(test, 100)):.3f}")


if __name__ == "__main__":
    main()
