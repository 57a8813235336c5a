"""Rozpoznawanie gatunku drewna po usłojeniu (tekstura, więc statystyki map cech zamiast położenia)."""
import logging
import sys

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
log = logging.getLogger("drewno")

GATUNKI = ["dab", "sosna", "brzoza", "orzech"]
BOK = 32


def deska(gatunek: str, los: np.random.Generator) -> np.ndarray:
    """Wycinek deski w odcieniach szarości, wartości 0..1."""
    y, x = np.mgrid[:BOK, :BOK].astype(float)
    fala = gaussian_filter(los.normal(0, 1, (BOK, BOK)), 5) * 12
    kat = los.normal(0, 0.15)
    poprzek = x * np.cos(kat) + y * np.sin(kat) + fala
    faza = los.uniform(0, 6.28)
    if gatunek == "dab":  # gęste słoje i krótkie pory
        obraz = 0.10 * np.sin(poprzek * 1.3 + faza)
        pory = gaussian_filter((los.random((BOK, BOK)) < 0.04).astype(float), (1.6, 0.4))
        obraz -= 1.0 * pory
    elif gatunek == "sosna":  # szerokie, ostre słoje
        obraz = 0.14 * np.tanh(2.5 * np.sin(poprzek * 0.65 + faza))
    elif gatunek == "brzoza":  # prawie gładka
        obraz = 0.05 * np.sin(poprzek * 0.7 + faza)
    else:  # orzech: nieregularne smugi
        obraz = 0.13 * np.sin(poprzek * 0.7 + faza + 2.5 * np.sin(y / 5 + faza))
    jasnosc = los.uniform(0.35, 0.7) + 0.1 * los.normal() * (y - BOK / 2) / BOK
    if los.random() < 0.005:  # kadr prześwietlony
        jasnosc += 1.0
    obraz = jasnosc + obraz * los.uniform(0.35, 0.9) + los.normal(0, 0.08, obraz.shape)
    return np.clip(obraz, 0, 1).astype(np.float32)


def zbior(n: int, ziarno: int) -> tuple[Tensor, Tensor]:
    los = np.random.default_rng(ziarno)
    klasy = los.permutation(np.arange(n) % len(GATUNKI))
    obrazy = np.stack([deska(GATUNKI[k], los) for k in klasy])
    return torch.from_numpy(obrazy).unsqueeze(1), torch.from_numpy(klasy)


class Splot(nn.Module):
    def __init__(self, we: int, wy: int, krok: int = 1):
        super().__init__()
        self.splot = nn.Conv2d(we, wy, 3, stride=krok, padding=1, padding_mode="reflect", bias=False)
        self.norma = nn.BatchNorm2d(wy)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norma(self.splot(x)))


class Statystyki(nn.Module):
    """Średnia i odchylenie standardowe każdej mapy cech."""

    def forward(self, x: Tensor) -> Tensor:
        srednia = x.mean(dim=(2, 3))
        wariancja = x.var(dim=(2, 3), unbiased=False)
        return torch.cat([srednia, torch.sqrt(wariancja + 1e-5)], dim=1)


class SiecTekstur(nn.Module):
    def __init__(self, klas: int):
        super().__init__()
        self.cechy = nn.Sequential(Splot(1, 16), Splot(16, 24, krok=2), Splot(24, 32, krok=2))
        self.statystyki = Statystyki()
        self.glowa = nn.Linear(64, klas)

    def forward(self, x: Tensor) -> Tensor:
        return self.glowa(self.statystyki(self.cechy(x)))


def krok_uczenia(siec, opt, kryterium, x, y) -> float:
    opt.zero_grad()
    strata = kryterium(siec(x), y)
    strata.backward()
    clip_grad_norm_(siec.parameters(), 5.0)
    opt.step()
    return strata.item()


@torch.no_grad()
def dokladnosc(siec, dane: DataLoader) -> float:
    siec.eval()
    trafione = sum((siec(x).argmax(1) == y).sum().item() for x, y in dane)
    return trafione / len(dane.dataset)


def main() -> None:
    torch.manual_seed(4)
    (xu, yu), (xw, yw), (xt, yt) = zbior(1000, 41), zbior(250, 42), zbior(400, 43)
    mu, sigma = xu.mean(), xu.std()
    uczace = DataLoader(TensorDataset((xu - mu) / sigma, yu), batch_size=40, shuffle=True)
    walidacja = DataLoader(TensorDataset((xw - mu) / sigma, yw), batch_size=125)
    testowe = DataLoader(TensorDataset((xt - mu) / sigma, yt), batch_size=100)

    siec = SiecTekstur(len(GATUNKI))
    opt = torch.optim.NAdam(siec.parameters(), lr=2e-3)
    plan = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.85)
    kryterium = nn.CrossEntropyLoss()
    for epoka in range(1, 10):
        siec.train()
        straty = [krok_uczenia(siec, opt, kryterium, x, y) for x, y in uczace]
        plan.step()
        log.info("epoka %d  strata %.4f  walidacja %.3f", epoka, np.mean(straty), dokladnosc(siec, walidacja))
    log.info("dokładność na zbiorze testowym: %.4f", dokladnosc(siec, testowe))


if __name__ == "__main__":
    main()
