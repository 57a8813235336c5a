"""Clasificación de aves fotografiadas por cámaras trampa.

Cada individuo anillado fue fotografiado varias veces; los archivos se llaman ESPECIE_ANILLO_TOMA.png.
El reparto en entrenamiento, validación y prueba es reproducible: depende solo de un resumen CRC.
"""
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, rotate, shift
from torch import nn, optim

ESPECIES = ["garza", "mirlo", "pinzon", "tordo"]
INDIVIDUOS, TOMAS, LADO = 60, 5, 28


def retrato(especie, azar):
    """Aspecto permanente de un individuo: plumaje, pose y rama en que vive."""
    y, x = np.mgrid[:LADO, :LADO].astype(float)
    fondo = gaussian_filter(azar.normal(0, 1, (LADO, LADO, 3)), (2.5, 2.5, 0))
    foto = 0.45 + 0.9 * fondo + azar.uniform(-0.1, 0.1, 3)
    pluma = azar.uniform(0.15, 0.85, 3)
    cx, cy = 12.5 + azar.uniform(-1.5, 1.5, 2)
    a, b = azar.uniform(4.5, 6), azar.uniform(3.2, 4.2)
    pico = {"garza": 8.0, "mirlo": 4.5, "pinzon": 2.0, "tordo": 4.0}[especie] + azar.normal(0, 0.7)
    cola = {"garza": 2.5, "mirlo": 7.0, "pinzon": 4.0, "tordo": 2.5}[especie] + azar.normal(0, 0.9)
    pata = {"garza": 8.0, "mirlo": 4.0, "pinzon": 2.5, "tordo": 4.0}[especie] + azar.normal(0, 0.8)

    def pintar(mascara, color):
        foto[mascara] = color

    pintar(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1, pluma)
    pintar(np.hypot(x - cx - a, y - cy + 3.5) < 3, pluma * 0.8)
    pintar((abs(y - cy + 3.5) < 1.2) & (x > cx + a + 2.5) & (x < cx + a + 2.5 + pico), [0.95, 0.7, 0.1])
    pintar((abs(y - cy - 1) < 1.3) & (x < cx - a + 1) & (x > cx - a - cola), pluma * 0.6)
    pintar((abs(abs(x - cx) - 2) < 0.6) & (y > cy + b - 1) & (y < cy + b + pata), [0.9, 0.6, 0.2])
    if especie == "tordo":
        pintar((((x - cx - 1) / 3) ** 2 + ((y - cy - 1.5) / 2) ** 2 < 1) & ((x + y).astype(int) % 3 == 0), [0.95, 0.92, 0.85])
    return foto


def fotografiar(carpeta, azar):
    for especie in ESPECIES:
        for anillo in range(INDIVIDUOS):
            ave = retrato(especie, azar)
            for toma in range(TOMAS):
                foto = rotate(ave, azar.uniform(-8, 8), reshape=False, order=1, mode="nearest")
                foto = shift(foto, (*azar.uniform(-1.5, 1.5, 2), 0), order=1, mode="nearest")
                foto = foto * azar.uniform(0.75, 1.2) + azar.normal(0, 0.06, foto.shape)
                datos = (np.clip(foto, 0, 1) * 255).astype(np.uint8)
                Image.fromarray(datos).save(carpeta / f"{especie}_{anillo:03d}_{toma:02d}.png")


def parte(ruta):
    especie, anillo, _ = ruta.stem.split("_")
    cubo = zlib.crc32(f"{especie}_{anillo}".encode()) % 10
    return "entrenamiento" if cubo < 6 else "validacion" if cubo < 8 else "prueba"


def leer(rutas):
    x = np.stack([np.asarray(Image.open(r)) for r in rutas]).transpose(0, 3, 1, 2)
    y = [ESPECIES.index(r.stem.split("_")[0]) for r in rutas]
    return torch.from_numpy(x.astype(np.float32) / 255), torch.tensor(y)


class RedAves(nn.Module):
    def __init__(self):
        super().__init__()
        canales = [3, 16, 32, 32]
        self.capas = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in zip(canales, canales[1:])
        )
        self.salida = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 3 * 3, len(ESPECIES)))

    def forward(self, x):
        for capa in self.capas:
            x = capa(x)
        return self.salida(x)


@torch.no_grad()
def acierto(red, x, y):
    red.eval()
    return (red(x).argmax(1) == y).float().mean().item()


def aumentar(x):
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    x = torch.roll(x, (dy, dx), (2, 3))
    return x + torch.randn(len(x), 3, 1, 1) * 0.5


def principal():
    torch.manual_seed(8)
    with tempfile.TemporaryDirectory() as d:
        carpeta = Path(d)
        fotografiar(carpeta, np.random.default_rng(8))
        partes = {"entrenamiento": [], "validacion": [], "prueba": []}
        for ruta in sorted(carpeta.glob("*.png")):
            partes[parte(ruta)].append(ruta)
        print({k: len(v) for k, v in partes.items()})
        conjuntos = {k: leer(v) for k, v in partes.items()}

    x, y = conjuntos["entrenamiento"]
    media, desv = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    normal = {k: ((a - media) / desv, b) for k, (a, b) in conjuntos.items()}
    x, y = normal["entrenamiento"]

    red = RedAves()
    opt = optim.SGD(red.parameters(), lr=0.03, momentum=0.9, nesterov=True)
    epocas = 24
    plan = optim.lr_scheduler.CosineAnnealingLR(opt, epocas)
    mejor, estado = -1.0, None
    for epoca in range(epocas):
        red.train()
        for lote in torch.randperm(len(x)).split(32):
            if len(lote) < 2:
                continue
            opt.zero_grad()
            perdida = nn.functional.cross_entropy(red(aumentar(x[lote])), y[lote])
            perdida.backward()
            opt.step()
        plan.step()
        val = acierto(red, *normal["validacion"])
        if val > mejor:
            mejor, estado = val, {k: v.clone() for k, v in red.state_dict().items()}
        if epoca % 4 == 3:
            print(f"época {epoca + 1}: pérdida {perdida.item():.3f}, validación {val:.3f}")
    red.load_state_dict(estado)
    print(f"acierto en prueba: {acierto(red, *normal['prueba']):.4f}")


if __name__ == "__main__":
    principal()
