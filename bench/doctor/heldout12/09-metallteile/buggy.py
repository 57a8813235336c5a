# Sortierung gestanzter Metallteile: Trainer mit Rückrufen, bester Stand nach Validierung
import io
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from PIL import Image, ImageDraw


@dataclass
class Konfig:
    saat: int = 5
    kante: int = 24
    n_train: int = 960
    n_val: int = 240
    n_test: int = 480
    stapel: int = 48
    epochen: int = 9
    rate: float = 3e-3
    ausfall: float = 0.3
    teile: tuple = ("Scheibe", "Ring", "Winkel", "Bügel", "Kreuz", "Platte")


# ---------------------------------------------------------------- Daten
def zeichne(art, kante, wuerfel):
    gross = kante * 3
    bild = Image.new("L", (gross, gross), 0)
    stift = ImageDraw.Draw(bild)
    m, r = gross / 2, gross * wuerfel.uniform(0.24, 0.36)
    dick = r * wuerfel.uniform(0.42, 0.6)
    kasten = (m - r, m - r, m + r, m + r)
    if art == "Scheibe":
        stift.ellipse(kasten, fill=255)
    elif art == "Ring":
        stift.ellipse(kasten, fill=255)
        innen = r * wuerfel.uniform(0.3, 0.5)
        stift.ellipse((m - innen, m - innen, m + innen, m + innen), fill=0)
    elif art == "Winkel":
        stift.rectangle((m - r, m - r, m - r + dick, m + r), fill=255)
        stift.rectangle((m - r, m + r - dick, m + r, m + r), fill=255)
    elif art == "Bügel":
        stift.rectangle(kasten, fill=255)
        stift.rectangle((m - r + dick, m - r, m + r - dick, m + r - dick), fill=0)
    elif art == "Kreuz":
        stift.rectangle((m - dick / 2, m - r, m + dick / 2, m + r), fill=255)
        stift.rectangle((m - r, m - dick / 2, m + r, m + dick / 2), fill=255)
    else:
        stift.rectangle(kasten, fill=255)
    bild = bild.rotate(wuerfel.uniform(0, 360), resample=Image.BILINEAR,
                       translate=(wuerfel.randint(-9, 9), wuerfel.randint(-9, 9)))
    return np.asarray(bild.resize((kante, kante), Image.BOX), np.float32) / 255


def satz(anzahl, k, wuerfel, rauschen):
    bilder, ziele = [], []
    for i in range(anzahl):
        ziel = i % len(k.teile)
        maske = zeichne(k.teile[ziel], k.kante, wuerfel)
        grund, glanz = wuerfel.uniform(0.1, 0.5), wuerfel.uniform(0.25, 0.5)
        verlauf = np.linspace(-1, 1, k.kante, dtype=np.float32) * wuerfel.uniform(-0.15, 0.15)
        bild = grund + verlauf[None, :] + glanz * maske
        bilder.append(bild + rauschen.normal(0, 0.08, bild.shape))
        ziele.append(ziel)
    return torch.tensor(np.array(bilder), dtype=torch.float32)[:, None], torch.tensor(ziele)


# ---------------------------------------------------------------- Netz
class Netz(nn.Module):
    def __init__(self, k):
        super().__init__()
        breiten = [1, 16, 32, 48]
        lagen = []
        for ein, aus in zip(breiten, breiten[1:]):
            lagen += [nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(), nn.MaxPool2d(2)]
        self.merkmale = nn.Sequential(*lagen)
        self.kopf = nn.Sequential(nn.Flatten(), nn.Dropout(k.ausfall), nn.Linear(48 * (k.kante // 8) ** 2, len(k.teile)))

    def forward(self, x):
        return self.kopf(self.merkmale(x))


# ---------------------------------------------------------------- Rückrufe
class Rueckruf:
    def nach_epoche(self, trainer, werte): ...


class Anzeige(Rueckruf):
    def nach_epoche(self, trainer, werte):
        print("Epoche {epoche:2d}  Verlust {verlust:.3f}  Val-Verlust {val_verlust:.3f}  Val-Güte {val_guete:.3f}".format(**werte))


class Bestenliste(Rueckruf):
    """Hält den Stand mit dem kleinsten Validierungsverlust im Speicher."""

    def __init__(self):
        self.verlust, self.datei = float("inf"), io.BytesIO()

    def nach_epoche(self, trainer, werte):
        if werte["val_verlust"] < self.verlust:
            self.verlust, self.datei = werte["val_verlust"], io.BytesIO()
            torch.save(trainer.netz.state_dict(), self.datei)

    def lade(self, netz):
        self.datei.seek(0)
        netz.load_state_dict(torch.load(self.datei))
        return netz


class Trainer:
    def __init__(self, netz, k, rueckrufe):
        self.netz, self.k, self.rueckrufe = netz, k, rueckrufe
        self.kriterium = nn.CrossEntropyLoss()
        self.opt = torch.optim.Adam(netz.parameters(), lr=k.rate)

    def epoche(self, lader):
        self.netz.train()
        summe = 0.0
        for x, y in lader:
            self.opt.zero_grad()
            verlust = self.kriterium(self.netz(x), y)
            verlust.backward()
            self.opt.step()
            summe += verlust.item() * len(y)
        return summe / len(lader.dataset)

    @torch.no_grad()
    def pruefe(self, lader):
        self.netz.eval()
        summe = treffer = 0
        for x, y in lader:
            aus = self.netz(x)
            summe += self.kriterium(aus, y).item() * len(y)
            treffer += (aus.argmax(1) == y).sum().item()
        return summe / len(lader.dataset), treffer / len(lader.dataset)

    def laufe(self, train, val):
        for e in range(1, self.k.epochen + 1):
            verlust = self.epoche(train)
            val_verlust, val_guete = self.pruefe(val)
            for r in self.rueckrufe:
                r.nach_epoche(self, dict(epoche=e, verlust=verlust, val_verlust=val_verlust, val_guete=val_guete))


@torch.no_grad()
def bericht(netz, x, y, k):
    """Trefferquote je Teil und insgesamt."""
    treffer = 0
    for nr, name in enumerate(k.teile):
        richtig = (netz(x[y == nr]).argmax(1) == nr).sum().item()
        print(f"  {name:8s} {richtig}/{(y == nr).sum().item()}")
        treffer += richtig
    return treffer / len(y)


if __name__ == "__main__":
    k = Konfig()
    torch.manual_seed(k.saat)
    wuerfel, rauschen = random.Random(k.saat), np.random.default_rng(k.saat)
    (x_tr, y_tr), (x_va, y_va), (x_te, y_te) = (satz(n, k, wuerfel, rauschen) for n in (k.n_train, k.n_val, k.n_test))
    mittel, streuung = x_tr.mean(), x_tr.std()
    x_tr, x_va, x_te = ((x - mittel) / streuung for x in (x_tr, x_va, x_te))

    beste = Bestenliste()
    trainer = Trainer(Netz(k), k, [Anzeige(), beste])
    trainer.laufe(DataLoader(TensorDataset(x_tr, y_tr), k.stapel, shuffle=True), DataLoader(TensorDataset(x_va, y_va), 120))

    print("Testbericht:")
    print(f"Testgüte: {bericht(beste.lade(Netz(k)), x_te, y_te, k):.4f}")
