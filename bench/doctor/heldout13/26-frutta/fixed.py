"""Classificazione di frutta sul nastro trasportatore (immagini a colori, accumulo dei gradienti)."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

FRUTTA = ["mela", "arancia", "limone", "prugna", "pera", "kiwi"]
TINTE = {"mela": (185, 60, 55), "arancia": (220, 130, 45), "limone": (215, 195, 70), "prugna": (95, 50, 95),
         "pera": (185, 180, 80), "kiwi": (125, 100, 60)}


@dataclass(frozen=True)
class Opzioni:
    lato: int = 28
    esempi: int = 1500
    epoche: int = 8
    microlotto: int = 10      # quanto entra nella memoria della scheda del nastro
    accumulo: int = 4         # lotto effettivo: 40
    lr: float = 0.06
    riscaldamento: float = 0.1
    seme: int = 5


def fotografa(nome: str, g: np.random.Generator, lato: int) -> np.ndarray:
    y, x = np.mgrid[:lato, :lato] - lato / 2 + .5
    y, x = y - g.uniform(-3, 3), x - g.uniform(-3, 3)
    a = g.uniform(0, 2 * np.pi)
    u, v = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
    r = g.uniform(6.5, 9)
    if nome == "limone":
        forma = np.abs(u / (1.25 * r)) ** 1.6 + np.abs(v / (.8 * r)) ** 2
    elif nome == "pera":
        forma = (u / (1.25 * r)) ** 2 + (v / (r * (.72 - .28 * u / r).clip(.3))) ** 2
    elif nome in ("kiwi", "prugna"):
        forma = (u / r) ** 2 + (v / (.78 * r)) ** 2
    else:
        forma = (u / r) ** 2 + (v / (.96 * r)) ** 2
    dentro = np.clip((1.05 - forma) * 6, 0, 1)[..., None]
    tinta = np.array(TINTE[nome]) + g.normal(0, 14, 3)
    grana = {"arancia": 16, "kiwi": 22}.get(nome, 5) * g.uniform(.6, 1.2)
    luce = g.uniform(0, 2 * np.pi)
    ombra = 1 + .3 * (np.cos(luce) * x + np.sin(luce) * y) / r
    riflesso = g.uniform(20, 70) * (nome not in ("kiwi",)) * np.exp(
        -((x - .4 * r * np.cos(luce)) ** 2 + (y - .4 * r * np.sin(luce)) ** 2) / 3)
    frutto = tinta * ombra[..., None] + riflesso[..., None] + grana * gaussian_filter(g.normal(0, 1.6, (lato, lato)), .6)[..., None]
    nastro = np.full(3, g.uniform(60, 150)) + g.normal(0, 6, 3) + 10 * gaussian_filter(g.normal(0, 2, (lato, lato)), (0, 3))[..., None]
    foto = (nastro + (frutto - nastro) * dentro) * g.uniform(.65, 1.15) * g.uniform(.88, 1.12, 3) + g.normal(0, 9, (lato, lato, 3))
    return foto.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)


def raccogli(n: int, g: np.random.Generator, lato: int) -> tuple[torch.Tensor, torch.Tensor]:
    classi = g.integers(len(FRUTTA), size=n)
    foto = np.stack([fotografa(FRUTTA[c], g, lato) for c in classi])
    return torch.from_numpy(foto).float() / 255, torch.from_numpy(classi)


def rete() -> nn.Module:
    def passo(i: int, o: int) -> list[nn.Module]:
        return [nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*passo(3, 16), *passo(16, 32), *passo(32, 48), nn.Flatten(), nn.Linear(48 * 9, len(FRUTTA)))


class Addestratore:
    def __init__(self, rete: nn.Module, x: torch.Tensor, y: torch.Tensor, o: Opzioni):
        self.rete, self.x, self.y, self.o = rete, x, y, o
        self.ottimo = torch.optim.SGD(rete.parameters(), lr=o.lr, momentum=.9, weight_decay=5e-4)
        self.microlotti = len(x) // o.microlotto
        self.totale = o.epoche * (self.microlotti // o.accumulo)     # aggiornamenti previsti
        self.fatti = 0

    def regola(self) -> None:
        """Rampa lineare, poi mezzo coseno fino a zero."""
        rampa = self.o.riscaldamento * self.totale
        if self.fatti < rampa:
            f = (self.fatti + 1) / rampa
        else:
            f = .5 + .5 * math.cos(math.pi * min(1., (self.fatti - rampa) / (self.totale - rampa)))
        for gruppo in self.ottimo.param_groups:
            gruppo["lr"] = self.o.lr * f

    def epoca(self) -> float:
        self.rete.train()
        somma = 0.
        ordine = torch.randperm(len(self.x))
        self.ottimo.zero_grad()
        for k in range(self.microlotti // self.o.accumulo * self.o.accumulo):
            i = ordine[k * self.o.microlotto:(k + 1) * self.o.microlotto]
            x = self.x[i].flip(3) if torch.rand(1) < .5 else self.x[i]
            perdita = F.cross_entropy(self.rete(x), self.y[i])
            (perdita / self.o.accumulo).backward()
            somma += perdita.item()
            if (k + 1) % self.o.accumulo == 0:
                self.regola()
                self.ottimo.step()
                self.ottimo.zero_grad()
                self.fatti += 1
        return somma / (k + 1)

    @torch.no_grad()
    def accuratezza(self, x: torch.Tensor, y: torch.Tensor) -> float:
        self.rete.eval()
        return torch.cat([self.rete(p).argmax(1) for p in x.split(125)]).eq(y).float().mean().item()


def main() -> None:
    o = Opzioni()
    torch.set_num_threads(1)
    torch.manual_seed(o.seme)
    g = np.random.default_rng(o.seme)
    insiemi = [raccogli(n, g, o.lato) for n in (o.esempi, 300, 500)]
    media, scarto = insiemi[0][0].mean((0, 2, 3), keepdim=True), insiemi[0][0].std((0, 2, 3), keepdim=True)
    (xa, ya), (xv, yv), (xp, yp) = [((x - media) / scarto, y) for x, y in insiemi]
    a = Addestratore(rete(), xa, ya, o)
    for e in range(o.epoche):
        perdita = a.epoca()
        print(f"epoca {e + 1}: perdita {perdita:.3f}  convalida {a.accuratezza(xv, yv):.3f}")
    print(f"accuratezza di prova: {a.accuratezza(xp, yp):.4f}")


if __name__ == "__main__":
    main()
