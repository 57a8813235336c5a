"""Vogelrufe anhand kleiner Spektrogramme (24 Frequenzbänder, 32 Zeitfenster) unterscheiden."""
import numpy as np
import torch
from torch import nn

RUFE = ["aufsteigend", "abfallend", "triller", "pfiff", "bogen", "doppelton", "schnarren"]
BAENDER, FENSTER = 24, 32


def spektrogramm(ruf, zufall):
    f = np.arange(BAENDER)[:, None]
    t = np.linspace(0, 1, FENSTER)
    beginn, dauer = zufall.uniform(0.05, 0.3), zufall.uniform(0.45, 0.65)
    s = (t - beginn) / dauer
    an = ((s >= 0) & (s <= 1)).astype(float)
    grund = zufall.uniform(7, 13)
    hub = zufall.uniform(4, 8)
    breite = zufall.uniform(0.8, 1.3)

    def spur(hoehe):
        return np.exp(-((f - hoehe[None]) / breite) ** 2) * an

    konstant = np.full(FENSTER, grund)
    if ruf == "aufsteigend":
        bild = spur(konstant + hub * (s - 0.5))
    elif ruf == "abfallend":
        bild = spur(konstant - hub * (s - 0.5))
    elif ruf == "triller":
        bild = spur(konstant + 0.35 * hub * np.sin(2 * np.pi * zufall.uniform(4, 5.5) * s))
    elif ruf == "pfiff":
        bild = spur(konstant)
    elif ruf == "bogen":
        bild = spur(konstant + zufall.choice([-1, 1]) * hub * (4 * s * (1 - s) - 0.5))
    elif ruf == "doppelton":
        bild = spur(konstant) + 0.8 * spur(konstant + zufall.uniform(5, 8))
    else:
        bild = np.exp(-((f - grund) / 5) ** 2) * (np.sin(2 * np.pi * zufall.uniform(6, 9) * s) > 0.2) * an * 0.7
    bild = bild * zufall.uniform(0.7, 1.2) + 0.12 * zufall.random() * (f < 5)
    return np.log1p(6 * np.abs(bild + zufall.normal(0, 0.15, bild.shape)))


def aufnahmen(je_ruf, zufall):
    x = np.stack([spektrogramm(r, zufall) for r in RUFE for _ in range(je_ruf)])[:, None]
    return x.astype(np.float32), np.repeat(np.arange(len(RUFE)), je_ruf)


class TrennbareFaltung(nn.Module):
    """Tiefenweise Faltung und 1x1-Faltung, jeweils normiert."""

    def __init__(self, ein, aus, schritt):
        super().__init__()
        self.tiefe = nn.Conv2d(ein, ein, 3, stride=schritt, padding=1, groups=ein, bias=False)
        self.norm1 = nn.BatchNorm2d(ein)
        self.misch = nn.Conv2d(ein, aus, 1)
        self.norm2 = nn.BatchNorm2d(aus)

    def forward(self, x):
        x = torch.relu(self.norm1(self.tiefe(x)))
        return torch.relu(self.norm2(self.misch(x)))


class Modell:
    """Dünne Hülle mit compile / fit / evaluate."""

    def __init__(self, schichten):
        self.netz = nn.Sequential(*schichten)

    def compile(self, optimierer, verlust, rate):
        self.optimierer = optimierer(self.netz.parameters(), lr=rate)
        self.verlust = verlust
        return self

    def fit(self, x, y, validierung, epochen, stapel):
        x, y = torch.from_numpy(x), torch.from_numpy(y)
        bester, zustand = -1.0, None
        plan = torch.optim.lr_scheduler.PolynomialLR(self.optimierer, total_iters=epochen, power=0.9)
        for epoche in range(epochen):
            self.netz.train()
            summe = 0.0
            for teil in torch.randperm(len(x)).split(stapel):
                verlust = self.verlust(self.netz(x[teil]), y[teil])
                self.optimierer.zero_grad()
                verlust.backward()
                self.optimierer.step()
                summe += float(verlust.detach()) * len(teil)
            plan.step()
            treffer = self.evaluate(*validierung)
            print(f"Epoche {epoche + 1:2d}/{epochen}: Verlust {summe / len(x):.3f}, Validierung {treffer:.3f}")
            if treffer > bester:
                bester, zustand = treffer, {k: v.clone() for k, v in self.netz.state_dict().items()}
        self.netz.load_state_dict(zustand)

    def predict(self, x, stapel=100):
        self.netz.eval()
        with torch.inference_mode():
            return torch.cat([self.netz(teil) for teil in torch.from_numpy(x).split(stapel)]).argmax(1).numpy()

    def evaluate(self, x, y):
        return float((self.predict(x) == y).mean())


def hauptprogramm():
    torch.manual_seed(12)
    zufall = np.random.default_rng(12)
    (x, y), (xv, yv), (xt, yt) = aufnahmen(200, zufall), aufnahmen(45, zufall), aufnahmen(70, zufall)
    mittel, streuung = x.mean(), x.std()
    x, xv, xt = (x - mittel) / streuung, (xv - mittel) / streuung, (xt - mittel) / streuung

    modell = Modell([
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        TrennbareFaltung(16, 32, schritt=2),
        TrennbareFaltung(32, 48, schritt=2),
        TrennbareFaltung(48, 64, schritt=1),
        nn.AdaptiveAvgPool2d((3, 4)), nn.Flatten(), nn.Linear(64 * 12, len(RUFE)),
    ])
    modell.compile(torch.optim.Adam, nn.CrossEntropyLoss(), rate=3e-3)
    print("Parameter:", sum(p.numel() for p in modell.netz.parameters()))
    modell.fit(x, y, (xv, yv), epochen=8, stapel=56)
    print(f"Trefferquote Test: {modell.evaluate(xt, yt):.3f}")


if __name__ == "__main__":
    hauptprogramm()
