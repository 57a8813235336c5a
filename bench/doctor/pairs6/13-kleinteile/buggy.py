# Kleinteile-Erkennung am Förderband: Bilder im Ordner heissen <station>_<teil>_<nummer>.png
from dataclasses import dataclass
from pathlib import Path
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TEILE = ("scheibe", "ring", "mutter", "stift", "klammer")
STATIONEN = ("auflicht", "ringlicht", "durchlicht")


@dataclass
class Einstellungen:
    anzahl: int = 1500
    kante: int = 28
    stapel: int = 60
    epochen: int = 8
    lernrate: float = 2e-3
    saat: int = 2024


def zeichne(teil: str, rng: np.random.Generator, kante: int) -> Image.Image:
    gross = 4 * kante
    bild = Image.new("L", (gross, gross), 0)
    stift = ImageDraw.Draw(bild)
    m = gross / 2
    r = rng.uniform(0.22, 0.34) * gross
    kasten = [m - r, m - r, m + r, m + r]
    if teil == "scheibe":
        stift.ellipse(kasten, fill=255)
    elif teil == "ring":
        stift.ellipse(kasten, fill=255)
        q = r * rng.uniform(0.5, 0.7)
        stift.ellipse([m - q, m - q, m + q, m + q], fill=0)
    elif teil == "mutter":
        stift.regular_polygon((m, m, r), 6, fill=255)
        q = r * rng.uniform(0.4, 0.55)
        stift.ellipse([m - q, m - q, m + q, m + q], fill=0)
    elif teil == "stift":
        stift.rectangle([m - 1.2 * r, m - 0.25 * r, m + 1.2 * r, m + 0.25 * r], fill=255)
    else:
        stift.arc(kasten, 20, 240, fill=255, width=int(0.4 * r))
    bild = bild.rotate(rng.uniform(0, 360), translate=tuple(rng.integers(-14, 15, 2).tolist()))
    return bild.resize((kante, kante), Image.BILINEAR)


def aufnahme(teil: str, rng: np.random.Generator, cfg: Einstellungen) -> Image.Image:
    maske = np.asarray(zeichne(teil, rng, cfg.kante), dtype=np.float32) / 255
    yy, xx = np.mgrid[-1:1:cfg.kante * 1j, -1:1:cfg.kante * 1j]
    verlauf = rng.uniform(-25, 25) * yy + rng.uniform(-25, 25) * xx
    grau = 80 + verlauf + maske * rng.uniform(45, 110) + rng.normal(0, 20, maske.shape)
    return Image.fromarray(grau.clip(0, 255).astype(np.uint8))


def fuelle_ordner(ordner: Path, cfg: Einstellungen) -> None:
    rng = np.random.default_rng(cfg.saat)
    for nummer in range(cfg.anzahl):
        teil = TEILE[rng.integers(len(TEILE))]
        station = rng.choice(STATIONEN, p=[0.3, 0.45, 0.25])
        aufnahme(teil, rng, cfg).save(ordner / f"{station}_{teil}_{nummer:05d}.png")


def klasse_von(datei: Path) -> int:
    return next(k for k, teil in enumerate(TEILE) if teil in datei.stem)


def lade(ordner: Path) -> tuple[torch.Tensor, torch.Tensor]:
    dateien = sorted(ordner.glob("*.png"))
    bilder = np.stack([np.asarray(Image.open(d), dtype=np.float32) for d in dateien]) / 255
    klassen = [klasse_von(d) for d in dateien]
    return torch.from_numpy(bilder).unsqueeze(1), torch.tensor(klassen)


class TeileNetz(nn.Module):
    def __init__(self, klassen: int):
        super().__init__()
        self.merkmale = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        )
        self.kopf = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48 * 4, klassen))

    def forward(self, x):
        return self.kopf(self.merkmale(x))


@torch.no_grad()
def trefferquote(netz: nn.Module, lader: DataLoader) -> float:
    netz.eval()
    treffer = [(netz(x).argmax(1) == y).float() for x, y in lader]
    return torch.cat(treffer).mean().item()


def main(cfg: Einstellungen = Einstellungen()) -> None:
    torch.manual_seed(cfg.saat)
    with tempfile.TemporaryDirectory() as tmp:
        ordner = Path(tmp)
        fuelle_ordner(ordner, cfg)
        x, y = lade(ordner)

    reihenfolge = torch.randperm(len(x))
    n_test, n_val = 300, 200
    test, val, lern = reihenfolge[:n_test], reihenfolge[n_test:n_test + n_val], reihenfolge[n_test + n_val:]
    mittel, streuung = x[lern].mean(), x[lern].std()
    x = (x - mittel) / streuung

    lern_lader = DataLoader(TensorDataset(x[lern], y[lern]), cfg.stapel, shuffle=True, drop_last=True)
    val_lader = DataLoader(TensorDataset(x[val], y[val]), 200)
    test_lader = DataLoader(TensorDataset(x[test], y[test]), 200)

    netz = TeileNetz(len(TEILE))
    verlust = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(netz.parameters(), lr=cfg.lernrate)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, 3 * cfg.lernrate, epochs=cfg.epochen, steps_per_epoch=len(lern_lader))
    for epoche in range(1, cfg.epochen + 1):
        netz.train()
        summe = 0.0
        for bx, by in lern_lader:
            opt.zero_grad()
            l = verlust(netz(bx), by)
            l.backward()
            opt.step()
            plan.step()
            summe += l.item()
        print(f"Epoche {epoche}: Verlust {summe / len(lern_lader):.3f}  Validierung {trefferquote(netz, val_lader):.3f}")

    print(f"Trefferquote auf den Testbildern: {trefferquote(netz, test_lader):.4f}")


if __name__ == "__main__":
    main()
