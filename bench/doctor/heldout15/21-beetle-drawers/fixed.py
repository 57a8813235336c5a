"""Clasificador de escarabajos a partir de las fotos de los cajones de la colección.

Las fotos están en carpetas: <raíz>/<partición>/<género>/<número>.png
Los géneros con muy pocas fotos no se usan.
"""
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

LADO = 28
MINIMO = 20
# género: (color, largo, ancho, dibujo, fotos de entrenamiento, fotos de prueba)
GENEROS = {
    "Agrilus": ((60, 120, 80), 11, 4, "liso", 240, 80),
    "Carabus": ((70, 60, 90), 10, 6, "surcos", 90, 16),
    "Chrysolina": ((70, 110, 90), 8, 7, "liso", 260, 80),
    "Coccinella": ((170, 60, 50), 7, 7, "puntos", 280, 90),
    "Leptura": ((150, 110, 60), 11, 5, "bandas", 220, 80),
    "Necrophorus": ((140, 80, 50), 9, 6, "bandas", 230, 70),
    "Typhaeus": ((50, 45, 50), 9, 8, "surcos", 9, 3),
}


def pintar(genero, azar):
    color, largo, ancho, dibujo = GENEROS[genero][:4]
    fondo = int(azar.integers(190, 235))
    img = Image.new("RGB", (56, 56), (fondo, fondo - 8, fondo - 20))
    d = ImageDraw.Draw(img)
    f = azar.uniform(0.8, 1.15)
    a, b = ancho * f * 1.6, largo * f * 1.9
    tono = tuple(int(np.clip(c * azar.uniform(0.8, 1.25) + azar.normal(0, 12), 0, 255)) for c in color)
    caja = (28 - a, 28 - b, 28 + a, 28 + b)
    d.ellipse(caja, fill=tono)
    oscuro = tuple(c // 3 for c in tono)
    d.ellipse((28 - a * 0.6, 28 - b * 1.15, 28 + a * 0.6, 28 - b * 0.6), fill=oscuro)
    if dibujo == "surcos":
        for k in (-0.6, -0.2, 0.2, 0.6):
            d.line((28 + k * a, 28 - b * 0.5, 28 + k * a, 28 + b * 0.7), fill=oscuro, width=2)
    elif dibujo == "puntos":
        for k in (-1, 1):
            for h in (-0.3, 0.1, 0.5):
                d.ellipse((28 + k * a * 0.5 - 3, 28 + h * b - 3, 28 + k * a * 0.5 + 3, 28 + h * b + 3), fill=oscuro)
    elif dibujo == "bandas":
        for h in (-0.3, 0.15, 0.55):
            d.rectangle((28 - a * 0.75, 28 + h * b - 2, 28 + a * 0.75, 28 + h * b + 2), fill=oscuro)
    img = img.rotate(azar.uniform(-35, 35), resample=Image.BILINEAR, fillcolor=(fondo, fondo - 8, fondo - 20),
                     translate=tuple(azar.uniform(-5, 5, 2)))
    arr = np.asarray(img.resize((LADO, LADO), Image.BOX), dtype=float) * azar.uniform(0.75, 1.2)
    return Image.fromarray(np.clip(arr + azar.normal(0, 14, arr.shape), 0, 255).astype(np.uint8))


def escribir_fotos(raiz):
    azar = np.random.default_rng(20)
    for genero, datos in GENEROS.items():
        for particion, cuantas in (("entrenamiento", datos[4]), ("prueba", datos[5])):
            carpeta = raiz / particion / genero
            carpeta.mkdir(parents=True)
            for n in range(cuantas):
                pintar(genero, azar).save(carpeta / f"{n:04d}.png")


class CarpetaDeFotos(Dataset):
    """Lee una partición. Sin lista de clases, toma las carpetas con al menos MINIMO fotos, por orden alfabético."""

    def __init__(self, carpeta, clases=None, aumentar=False):
        if clases is None:
            clases = [c.name for c in sorted(carpeta.iterdir()) if len(list(c.glob("*.png"))) >= MINIMO]
        self.clases = clases
        self.aumentar = aumentar
        self.fotos, self.etiquetas = [], []
        for indice, clase in enumerate(clases):
            for archivo in sorted((carpeta / clase).glob("*.png")):
                with Image.open(archivo) as foto:
                    self.fotos.append(np.array(foto))
                self.etiquetas.append(indice)

    def __len__(self):
        return len(self.fotos)

    def __getitem__(self, i):
        x = torch.from_numpy(self.fotos[i]).permute(2, 0, 1).float().div(255)
        x = (x - 0.65) / 0.22
        if self.aumentar and torch.rand(1).item() < 0.5:
            x = x.flip(2)
        return x, self.etiquetas[i]


class RedEscarabajos(nn.Module):
    def __init__(self, n_clases):
        super().__init__()
        canales = [3, 16, 32, 48]
        self.bloques = nn.ModuleList(
            nn.Sequential(nn.Conv2d(e, s, 3, padding=1, bias=False), nn.BatchNorm2d(s), nn.ReLU())
            for e, s in zip(canales[:-1], canales[1:]))
        self.reducir = nn.MaxPool2d(2)
        self.salida = nn.Linear(48 * 3 * 3, n_clases)

    def forward(self, x):
        for bloque in self.bloques:
            x = self.reducir(bloque(x))
        return self.salida(x.flatten(1))


def entrenar(red, cargador, epocas=6):
    optimizador = torch.optim.Adam(red.parameters(), lr=1.5e-3)
    decaer = torch.optim.lr_scheduler.ExponentialLR(optimizador, 0.75)
    perdida = nn.CrossEntropyLoss()
    for epoca in range(epocas):
        red.train()
        suma = 0.0
        for x, y in cargador:
            optimizador.zero_grad()
            valor = perdida(red(x), y)
            valor.backward()
            optimizador.step()
            suma += valor.item() * len(y)
        decaer.step()
        print(f"época {epoca + 1}: pérdida {suma / len(cargador.dataset):.3f}")


@torch.no_grad()
def evaluar(red, cargador):
    red.eval()
    aciertos = sum((red(x).argmax(1) == y).sum().item() for x, y in cargador)
    return aciertos / len(cargador.dataset)


if __name__ == "__main__":
    torch.manual_seed(4)
    with tempfile.TemporaryDirectory() as directorio:
        raiz = Path(directorio)
        escribir_fotos(raiz)
        entrenamiento = CarpetaDeFotos(raiz / "entrenamiento", aumentar=True)
        prueba = CarpetaDeFotos(raiz / "prueba", clases=entrenamiento.clases)
    print(f"{len(entrenamiento)} fotos de entrenamiento, {len(entrenamiento.clases)} géneros; {len(prueba)} de prueba")

    red = RedEscarabajos(len(entrenamiento.clases))
    entrenar(red, DataLoader(entrenamiento, batch_size=48, shuffle=True))
    print("exactitud en la prueba:", round(evaluar(red, DataLoader(prueba, batch_size=128)), 4))
