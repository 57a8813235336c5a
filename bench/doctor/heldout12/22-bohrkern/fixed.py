"""Merkmale in Bohrkernscans erkennen (fünf Klassen).

Zwei Labore haben Ausschnitte beschriftet; die Listen werden für das Training
zusammengelegt. Geprüft wird an der gemeinsam durchgesehenen Referenzliste.
"""
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

KLASSEN = ["ader", "blase", "kluft", "leer", "stylolith"]
GROESSE = 26
SAAT = 17


# -- Ausschnitte ------------------------------------------------------------

def ausschnitt(rng, name):
    y, x = np.mgrid[:GROESSE, :GROESSE] - (GROESSE - 1) / 2
    w = rng.uniform(-0.6, 0.6)
    u, v = x * np.cos(w) + y * np.sin(w), y * np.cos(w) - x * np.sin(w)
    v = v - rng.uniform(-5, 5)
    bild = gaussian_filter(rng.normal(0, 1, x.shape), 2.0) * 0.5
    if name == "ader":                       # helles Band
        bild = bild + 0.9 * np.exp(-(v / rng.uniform(1.5, 2.5)) ** 2)
    elif name == "blase":                    # dunkle runde Hohlräume
        for _ in range(rng.integers(2, 5)):
            cx, cy = rng.uniform(-9, 9, 2)
            bild = bild - 0.9 * (np.hypot(x - cx, y - cy) < rng.uniform(1.8, 3.2))
    elif name == "kluft":                    # dünne dunkle Gerade
        bild = bild - 1.2 * np.exp(-(v / 0.8) ** 2)
    elif name == "stylolith":                # gezackte dunkle Naht
        zacken = 3 * (2 * np.abs((u / rng.uniform(5, 7) + rng.uniform()) % 1 - 0.5) - 0.5)
        bild = bild - 1.2 * np.exp(-((v - 2 * zacken) / 0.9) ** 2)
    bild = bild * rng.uniform(0.7, 1.2) + rng.normal(0, 0.25, x.shape) + rng.uniform(-0.3, 0.3)
    return bild.astype(np.float32)


def liste(rng, anzahl, schreibweise):
    """Bilder und Klassennamen, wie ein Labor sie abliefert."""
    nummern = rng.permutation(np.arange(anzahl) % len(KLASSEN))
    bilder = np.stack([ausschnitt(rng, KLASSEN[k]) for k in nummern])
    return bilder, np.array([schreibweise[k] for k in nummern])


def kodieren(namen):
    return np.searchsorted(KLASSEN, np.char.lower(namen)).astype(np.int64)


def daten():
    rng = np.random.default_rng(SAAT)
    nord = liste(rng, 700, KLASSEN)
    sued = liste(rng, 500, ["ader", "blase", "Kluft", "leer", "stylolith"])
    referenz = liste(rng, 500, KLASSEN)
    x = np.concatenate([nord[0], sued[0]])
    y = np.concatenate([kodieren(nord[1]), kodieren(sued[1])])
    mittel, streuung = x.mean(), x.std()

    def satz(bilder, nummern):
        z = torch.from_numpy((bilder - mittel) / streuung)[:, None]
        return TensorDataset(z, torch.from_numpy(nummern))

    alle = satz(x, y)
    training, validierung = random_split(
        alle, [1000, 200], generator=torch.Generator().manual_seed(SAAT))
    return training, validierung, satz(referenz[0], kodieren(referenz[1]))


# -- Netz ---------------------------------------------------------------------

def stufe(ein, aus, schritt=1):
    return nn.Sequential(
        nn.Conv2d(ein, aus, 3, stride=schritt, padding=1, bias=False),
        nn.BatchNorm2d(aus), nn.GELU())


def netz():
    return nn.Sequential(
        stufe(1, 16), stufe(16, 24, 2), stufe(24, 32), stufe(32, 48, 2),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(48 * 9, len(KLASSEN)))


def gruppen(modell, zerfall):
    """Gewichtszerfall nur auf Faltungs- und Linearkerne."""
    kerne = [p for p in modell.parameters() if p.ndim > 1]
    rest = [p for p in modell.parameters() if p.ndim <= 1]
    return [{"params": kerne, "weight_decay": zerfall}, {"params": rest, "weight_decay": 0.0}]


def pruefen(modell, lader):
    modell.eval()
    treffer = torch.zeros(len(KLASSEN))
    anzahl = torch.zeros(len(KLASSEN))
    with torch.no_grad():
        for x, y in lader:
            richtig = modell(x).argmax(1) == y
            treffer += torch.bincount(y[richtig], minlength=len(KLASSEN))
            anzahl += torch.bincount(y, minlength=len(KLASSEN))
    return (treffer.sum() / anzahl.sum()).item(), treffer / anzahl


def main():
    torch.manual_seed(SAAT)
    torch.set_num_threads(1)
    training, validierung, referenz = daten()
    lader = DataLoader(training, batch_size=40, shuffle=True)
    val_lader = DataLoader(validierung, batch_size=100)

    modell = netz()
    verlust = nn.CrossEntropyLoss()
    optimierer = torch.optim.AdamW(gruppen(modell, 0.02), lr=1.5e-3)
    epochen = 12
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimierer, epochen * len(lader))

    bester, zustand = -1.0, None
    for epoche in range(1, epochen + 1):
        modell.train()
        summe = 0.0
        for x, y in lader:
            optimierer.zero_grad()
            fehler = verlust(modell(x), y)
            fehler.backward()
            optimierer.step()
            plan.step()
            summe += fehler.item()
        guete, _ = pruefen(modell, val_lader)
        print(f"Epoche {epoche:2d}: Verlust {summe / len(lader):.3f}, Validierung {guete:.3f}")
        if guete > bester:
            bester, zustand = guete, {k: v.clone() for k, v in modell.state_dict().items()}

    modell.load_state_dict(zustand)
    guete, je_klasse = pruefen(modell, DataLoader(referenz, batch_size=100))
    print("je Klasse:", {k: f"{t:.2f}" for k, t in zip(KLASSEN, je_klasse.tolist())})
    print(f"Trefferquote auf der Referenzliste: {guete:.4f}")


if __name__ == "__main__":
    main()
