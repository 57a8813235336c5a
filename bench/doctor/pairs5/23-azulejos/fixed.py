"""Control de azulejos: clasifica el defecto a partir del escaneo en gris.

El lote se escaneó defecto por defecto; algunos escaneos salieron velados u oscuros y no sirven.
"""
import math

import numpy as np
import torch
import torch.nn as nn
from scipy import ndimage

DEFECTOS = ["sano", "grieta", "burbuja", "mancha", "desconchado"]
POR_DEFECTO = 260
N = 26


# ----------------------------------------------------------------- lote
def escanear(defecto, azar):
    y, x = np.mgrid[0:N, 0:N].astype(float)
    esmalte = 0.55 + azar.normal(0, 0.05) + 0.03 * ndimage.gaussian_filter(azar.normal(0, 5, (N, N)), 3)
    esmalte += azar.normal(0, 0.003) * (y - 13) + azar.normal(0, 0.003) * (x - 13)
    cy, cx = azar.uniform(8, N - 9, 2)
    r = np.hypot(y - cy, x - cx)
    fuerza = azar.uniform(0.7, 1.2)
    if defecto == 1:
        w, largo = azar.uniform(0, np.pi), azar.uniform(5, 9)
        u, v = (x - cx) * np.cos(w) + (y - cy) * np.sin(w), (y - cy) * np.cos(w) - (x - cx) * np.sin(w)
        v = v + azar.uniform(0.8, 1.6) * np.sin(u * azar.uniform(0.6, 1.0))
        esmalte -= 0.28 * fuerza * np.exp(-(v / 0.8) ** 2) * (np.abs(u) < largo)
    elif defecto == 2:
        esmalte += 0.25 * fuerza * np.exp(-((r - azar.uniform(2.2, 4)) / 0.9) ** 2)
    elif defecto == 3:
        esmalte -= 0.2 * fuerza * np.exp(-(r / azar.uniform(3, 5)) ** 2)
    elif defecto == 4:
        borde = azar.uniform(2.2, 3.8) * (1 + 0.35 * np.sin(np.arctan2(y - cy, x - cx) * 3 + azar.uniform(0, 6)))
        esmalte += 0.28 * fuerza * (r < borde)
    esmalte += azar.normal(0, 0.065, (N, N))
    suerte = azar.random()
    if suerte < 0.05:                      # tapa abierta
        esmalte = 0.97 + 0.02 * esmalte
    elif suerte < 0.10:                    # lámpara apagada
        esmalte = 0.06 * esmalte
    return esmalte.clip(0, 1).astype(np.float32)


def legible(escaneo):
    return 0.2 < escaneo.mean() < 0.9


def cargar_lote(azar):
    escaneos, etiquetas = [], []
    for k in range(len(DEFECTOS)):
        escaneos += [escanear(k, azar) for _ in range(POR_DEFECTO)]
        etiquetas += [k] * POR_DEFECTO
    return [(e, t) for e, t in zip(escaneos, etiquetas) if legible(e)]


def repartir(muestras, azar, partes=(0.65, 0.15, 0.20)):
    orden = azar.permutation(len(muestras))
    a, b = np.cumsum([int(p * len(orden)) for p in partes[:2]])
    return [[muestras[i] for i in trozo] for trozo in (orden[:a], orden[a:b], orden[b:])]


# ----------------------------------------------------------------- capas propias
class ConvBloque(nn.Module):
    """Convolución, normalización por grupos y GELU, con atajo si no cambia el ancho."""

    def __init__(self, entra, sale):
        super().__init__()
        self.conv = nn.Conv2d(entra, sale, 3, padding=1, bias=False)
        self.norma = nn.GroupNorm(4, sale)
        self.atajo = entra == sale
        nn.init.kaiming_normal_(self.conv.weight)

    def forward(self, x):
        z = nn.functional.gelu(self.norma(self.conv(x)))
        return x + z if self.atajo else z


class MediaYMaximo(nn.Module):
    def forward(self, x):
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)


class Cosecha:
    """Da lotes (imagen, etiqueta) normalizados; con giros y espejos cuando es para entrenar."""

    def __init__(self, muestras, media, desv, lote, entrenar=False):
        self.x = (torch.from_numpy(np.stack([e for e, _ in muestras]))[:, None] - media) / desv
        self.t = torch.tensor([t for _, t in muestras])
        self.lote, self.entrenar = lote, entrenar

    def __len__(self):
        return math.ceil(len(self.t) / self.lote)

    def __iter__(self):
        orden = torch.randperm(len(self.t)) if self.entrenar else torch.arange(len(self.t))
        for i in orden.chunk(len(self)):
            x = self.x[i]
            if self.entrenar:
                x = torch.rot90(x, int(torch.randint(4, ())), (2, 3))
                x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
            yield x, self.t[i]


class Clasificador:
    def __init__(self, epocas):
        self.red = nn.Sequential(
            ConvBloque(1, 16), ConvBloque(16, 16), nn.MaxPool2d(2),
            ConvBloque(16, 32), ConvBloque(32, 32), MediaYMaximo(), nn.Linear(64, len(DEFECTOS)))
        pesos = [p for p in self.red.parameters() if p.dim() > 1]
        otros = [p for p in self.red.parameters() if p.dim() == 1]
        self.opt = torch.optim.AdamW([dict(params=pesos, weight_decay=0.02), dict(params=otros, weight_decay=0.0)], lr=4e-3)
        self.plan = torch.optim.lr_scheduler.LambdaLR(self.opt, lambda e: 0.5 * (1 + math.cos(math.pi * e / epocas)))
        self.coste = nn.CrossEntropyLoss()
        self.epocas = epocas

    def entrenar(self, datos, validacion):
        for epoca in range(self.epocas):
            self.red.train()
            coste_medio = 0.0
            for x, t in datos:
                coste = self.coste(self.red(x), t)
                self.opt.zero_grad()
                coste.backward()
                self.opt.step()
                coste_medio += coste.item() / len(datos)
            self.plan.step()
            print(f"época {epoca + 1:2d}  coste {coste_medio:.3f}  validación {self.acierto(validacion):.3f}")

    @torch.no_grad()
    def acierto(self, datos):
        self.red.eval()
        aciertos = torch.cat([self.red(x).argmax(1) == t for x, t in datos])
        return aciertos.float().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(17)
    azar = np.random.default_rng(17)
    muestras = cargar_lote(azar)
    para_entrenar, para_validar, para_probar = repartir(muestras, azar)
    print(f"{len(muestras)} escaneos legibles de {POR_DEFECTO * len(DEFECTOS)}")
    pila = np.stack([e for e, _ in para_entrenar])
    media, desv = float(pila.mean()), float(pila.std())
    modelo = Clasificador(epocas=12)
    modelo.entrenar(Cosecha(para_entrenar, media, desv, 48, entrenar=True), Cosecha(para_validar, media, desv, 200))
    print(f"acierto en la prueba: {modelo.acierto(Cosecha(para_probar, media, desv, 200)):.4f}")
