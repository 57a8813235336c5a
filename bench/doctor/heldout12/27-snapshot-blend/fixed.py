"""Mezcla de instantáneas: varias redes pequeñas, una instantánea por época, y selección voraz
(Caruana et al., 2004) de las que entran en el promedio de probabilidades.

Datos: señales de tráfico esquemáticas, vistas de lejos y con mal tiempo.
"""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

LADO = 22
FORMAS = ["circulo", "triangulo", "invertido", "rombo", "octogono", "cuadrado"]
REDES = [dict(ancho=8, semilla=1, tasa=6e-3), dict(ancho=12, semilla=2, tasa=4e-3),
         dict(ancho=8, semilla=3, tasa=3e-3), dict(ancho=16, semilla=4, tasa=3e-3)]
EPOCAS = 8
PRIMERA = 3       # desde esta época se guardan instantáneas
MIEMBROS = 8


def poligono(n, giro, cx, cy, r):
    return [(cx + r * math.cos(giro + 2 * math.pi * k / n), cy + r * math.sin(giro + 2 * math.pi * k / n)) for k in range(n)]


def senal(forma, rng):
    g = LADO * 4
    fondo = rng.integers(60, 190, 3)
    img = Image.new("RGB", (g, g), tuple(int(v) for v in fondo))
    d = ImageDraw.Draw(img)
    for _ in range(3):
        x, y, w, h = rng.uniform(0, g, 4)
        d.rectangle([x, y, x + w / 2, y + h / 2], fill=tuple(int(v) for v in np.clip(fondo + rng.normal(0, 15, 3), 0, 255)))
    cx, cy = rng.uniform(.4, .6, 2) * g
    r = rng.uniform(.24, .36) * g
    t = rng.normal(0, .10)
    puntos = [poligono(24, t, cx, cy, r), poligono(3, t - math.pi / 2, cx, cy, r), poligono(3, t + math.pi / 2, cx, cy, r),
              poligono(4, t, cx, cy, r), poligono(8, t + math.pi / 8, cx, cy, r), poligono(4, t + math.pi / 4, cx, cy, r)][forma]
    color = np.clip(fondo + rng.choice([-1, 1]) * rng.uniform(45, 95, 3), 0, 255)
    d.polygon(puntos, fill=tuple(int(v) for v in color))
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(.5, 2.5))).resize((LADO, LADO), Image.BILINEAR)
    a = np.asarray(img, np.float32) / 255
    return a + rng.normal(0, rng.uniform(.03, .10), a.shape)


def conjunto(n, semilla):
    rng = np.random.default_rng(semilla)
    y = rng.permutation(np.arange(n) % len(FORMAS))
    x = np.stack([senal(int(k), rng) for k in y]).astype(np.float32)
    return (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous() - .5) / .2, torch.from_numpy(y)


def red(ancho):
    def bloque(a, b):
        return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*bloque(3, ancho), nn.MaxPool2d(2), *bloque(ancho, 2 * ancho), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Dropout(.2), nn.Linear(50 * ancho, len(FORMAS)))


def entrenar(x, y, ancho, semilla, tasa):
    """Entrena una red y devuelve sus instantáneas."""
    torch.manual_seed(semilla)
    modelo = red(ancho)
    opt = torch.optim.Adam(modelo.parameters(), lr=tasa)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCAS, eta_min=tasa / 10)
    fotos = []
    for epoca in range(1, EPOCAS + 1):
        modelo.train()
        suma = 0.
        for lote in torch.randperm(len(x)).split(45):
            perdida = F.cross_entropy(modelo(x[lote]), y[lote])
            opt.zero_grad()
            perdida.backward()
            opt.step()
            suma += perdida.item() * len(lote)
        plan.step()
        if epoca >= PRIMERA:
            fotos.append(copy.deepcopy(modelo).eval())
    print(f"red de ancho {ancho}: pérdida final {suma / len(x):.3f}, {len(fotos)} instantáneas")
    return fotos


@torch.no_grad()
def probabilidades(fotos, x):
    return torch.stack([f(x).softmax(1) for f in fotos])          # (instantánea, imagen, clase)


def exactitud(p, y):
    return (p.argmax(-1) == y).float().mean().item()


def seleccion_voraz(probs, y, miembros):
    """Añade, con repetición, la instantánea que más mejora el promedio; devuelve la mejor lista vista."""
    elegidas, suma, mejor, mejor_lista = [], torch.zeros_like(probs[0]), -1., []
    for _ in range(miembros):
        notas = [exactitud(suma + p, y) for p in probs]
        k = int(np.argmax(notas))
        elegidas.append(k)
        suma = suma + probs[k]
        if notas[k] > mejor:
            mejor, mejor_lista = notas[k], list(elegidas)
    return mejor_lista


def main():
    torch.set_num_threads(1)
    x, y = conjunto(1080, 100)
    x_val, y_val = conjunto(240, 101)
    x_test, y_test = conjunto(240, 102)

    fotos = [f for cfg in REDES for f in entrenar(x, y, **cfg)]
    p_val, p_test = probabilidades(fotos, x_val), probabilidades(fotos, x_test)

    lista = seleccion_voraz(p_val, y_val, MIEMBROS)
    print("miembros de la mezcla:", lista)
    print(f"mezcla, validación: {exactitud(p_val[lista].mean(0), y_val):.4f}")
    print(f"mezcla, test: {exactitud(p_test[lista].mean(0), y_test):.4f}")


if __name__ == "__main__":
    main()
