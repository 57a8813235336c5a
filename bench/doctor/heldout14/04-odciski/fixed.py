"""Klasyfikacja odcisków palców (łuk, łuk namiotowy, pętla lewa, pętla prawa, wir)."""
from dataclasses import dataclass, field
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True)
class Ustawienia:
    klasy: Tuple[str, ...] = ("luk", "namiot", "petla_lewa", "petla_prawa", "wir")
    bok: int = 32
    n_uczacych: int = 1200
    n_testowych: int = 500
    partia: int = 40
    epoki: int = 6
    krok: float = 2e-3
    ziarno: int = 7
    filtry: Tuple[int, ...] = field(default=(16, 24, 32))


def linie(klasa: str, bok: int, rng: np.random.Generator) -> np.ndarray:
    """Wzór linii papilarnych jako cosinus fazy, plus nierówny docisk i szum."""
    y, x = np.mgrid[:bok, :bok].astype(float)
    x -= bok / 2 + rng.uniform(-3, 3)
    y -= bok / 2 + rng.uniform(-3, 3)
    kat = rng.normal(0, 0.12)
    x, y = x * np.cos(kat) + y * np.sin(kat), -x * np.sin(kat) + y * np.cos(kat)
    if klasa == "luk":
        faza = y + 4.0 * np.exp(-((x / 7) ** 2))
    elif klasa == "namiot":
        faza = y + 9.0 * np.exp(-abs(x) / 3.5)
    elif klasa == "wir":
        faza = np.hypot(x, rng.uniform(0.8, 1.2) * y)
    else:
        strona = -1 if klasa == "petla_lewa" else 1
        a = (strona * x + y) / np.sqrt(2)
        faza = 1.2 * (np.hypot(x, y) - 0.75 * a)
    faza = faza + 0.6 * np.sin(x / 5 + rng.uniform(0, 6)) + 0.6 * np.sin(y / 6 + rng.uniform(0, 6))
    obraz = 0.5 + 0.5 * np.cos(2 * np.pi * faza / rng.uniform(3.4, 4.6) + rng.uniform(0, 6))
    docisk = rng.uniform(0.25, 1.0) * np.exp(-((x / 18) ** 2 + (y / 18) ** 2))
    return rng.uniform(0.0, 0.4) + docisk * obraz + rng.normal(0, 0.12, obraz.shape)


class Odciski(Dataset):
    def __init__(self, u: Ustawienia, n: int, ziarno: int):
        rng = np.random.default_rng(ziarno)
        self.cel = rng.permutation(np.arange(n) % len(u.klasy))
        obrazy = [linie(u.klasy[k], u.bok, rng) for k in self.cel]
        self.obrazy = torch.from_numpy(np.stack(obrazy)).float().unsqueeze(1)

    def __len__(self) -> int:
        return len(self.cel)

    def __getitem__(self, i: int):
        return self.obrazy[i], int(self.cel[i])


class NormaObrazu(nn.Module):
    """Zeruje średnią i wyrównuje kontrast każdego odcisku z osobna."""

    def __init__(self, eps: float = 1e-5):
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        war, sr = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
        return (x - sr) * torch.rsqrt(war + self.eps)


class Siec(nn.Module):
    def __init__(self, u: Ustawienia):
        super().__init__()
        warstwy, wej = [NormaObrazu()], 1
        for wyj in u.filtry:
            warstwy += [
                nn.Conv2d(wej, wyj, 3, padding=1, bias=False),
                nn.BatchNorm2d(wyj),
                nn.LeakyReLU(0.1),
                nn.MaxPool2d(2),
            ]
            wej = wyj
        self.cechy = nn.Sequential(*warstwy)
        self.wyjscie = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(wej * (u.bok // 8) ** 2, len(u.klasy))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.wyjscie(self.cechy(x))


def ucz(siec: nn.Module, dane: DataLoader, opt: torch.optim.Optimizer, strata: nn.Module) -> float:
    siec.train()
    suma = 0.0
    for x, cel in dane:
        opt.zero_grad()
        l = strata(siec(x), cel)
        l.backward()
        opt.step()
        suma += l.item() * len(cel)
    return suma / len(dane.dataset)


@torch.inference_mode()
def trafnosc(siec: nn.Module, dane: DataLoader) -> float:
    siec.eval()
    return sum((siec(x).argmax(1) == cel).sum().item() for x, cel in dane) / len(dane.dataset)


def start(u: Ustawienia) -> None:
    torch.manual_seed(u.ziarno)
    ucz_dane = DataLoader(Odciski(u, u.n_uczacych, 1), u.partia, shuffle=True)
    test_dane = DataLoader(Odciski(u, u.n_testowych, 2), 250)
    siec = Siec(u)
    opt = torch.optim.Adam(siec.parameters(), lr=u.krok)
    for e in range(u.epoki):
        print(f"epoka {e + 1}/{u.epoki}  strata {ucz(siec, ucz_dane, opt, nn.CrossEntropyLoss()):.4f}")
    print(f"trafność na zbiorze testowym: {trafnosc(siec, test_dane):.4f}")


if __name__ == "__main__":
    start(Ustawienia())
