# -*- coding: utf-8 -*-
"""Clasificación de azulejos: el dibujo completo se forma con cuatro piezas (2 x 2).

Cada foto se corta en sus cuatro piezas, la misma red mira cada pieza y la
última capa decide con las cuatro descripciones juntas.
"""
import math

import numpy as np
import torch
import torch.nn as nn

torch.set_num_threads(1)
SEMILLA = 8
LADO = 32
DIBUJOS = ["circulo", "rombo", "aspa", "cruz", "molinete", "ondas"]
LOTE, EPOCAS = 40, 7


def dibujar(nombre, azar):
    v, u = np.mgrid[0:LADO, 0:LADO].astype(np.float64)
    cu, cv = LADO / 2 + azar.uniform(-2, 2, 2)
    u, v = u - cu, v - cv
    giro = azar.uniform(-.12, .12)
    u, v = u * math.cos(giro) - v * math.sin(giro), u * math.sin(giro) + v * math.cos(giro)
    radio, grosor = azar.uniform(8, 13), azar.uniform(1.2, 2.2)
    r, t = np.hypot(u, v), np.arctan2(v, u)
    if nombre == "circulo":
        d = np.abs(r - radio)
    elif nombre == "rombo":
        d = np.abs(np.abs(u) + np.abs(v) - radio * 1.15) / 1.4
    elif nombre == "aspa":
        d = np.minimum(np.abs(u - v), np.abs(u + v)) / 1.4 + np.maximum(r - radio, 0)
    elif nombre == "cruz":
        d = np.minimum(np.abs(u), np.abs(v)) + np.maximum(r - radio, 0)
    elif nombre == "molinete":
        d = 4 * np.abs(np.sin(2 * t + r * .22)) * np.clip(r / radio, .2, 1) + np.maximum(r - radio, 0)
    else:
        d = np.abs((v + 3 * np.sin(u * .55)) % 9 - 4.5)
    tinta = np.exp(-(d / grosor) ** 2)[..., None]
    fondo, color = azar.uniform(.55, .95, 3), azar.uniform(0, .6, 3)
    foto = fondo * (1 - tinta) + color * tinta
    foto[LADO // 2 - 1:LADO // 2 + 1] *= .85                # junta entre piezas
    foto[:, LADO // 2 - 1:LADO // 2 + 1] *= .85
    luz = 1 + azar.uniform(-.25, .25) * u / LADO + azar.uniform(-.25, .25) * v / LADO
    return foto * luz[..., None] + azar.normal(0, .32, foto.shape)


def coleccion(n, azar):
    clases = azar.integers(0, len(DIBUJOS), n)
    fotos = np.stack([dibujar(DIBUJOS[c], azar) for c in clases]).transpose(0, 3, 1, 2)
    return torch.tensor(fotos, dtype=torch.float32), torch.tensor(clases)


class RedDePiezas(nn.Module):
    def __init__(self, clases, canales=(16, 32, 32)):
        super().__init__()
        capas, antes = [], 3
        for c in canales:
            capas += [nn.Conv2d(antes, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
            antes = c
        self.tronco = nn.Sequential(*capas, nn.Flatten())
        rasgos = antes * (LADO // 2 // 2 ** len(canales)) ** 2
        self.decision = nn.Sequential(nn.Linear(4 * rasgos, 64), nn.ReLU(), nn.Linear(64, clases))

    def forward(self, foto):
        m = LADO // 2
        piezas = torch.stack([foto[..., :m, :m], foto[..., :m, m:], foto[..., m:, :m], foto[..., m:, m:]], dim=0)
        lote = foto.shape[0]
        rasgos = self.tronco(piezas.flatten(0, 1))
        return self.decision(rasgos.view(lote, -1))


@torch.no_grad()
def aciertos(red, datos):
    red.eval()
    x, y = datos
    return sum((red(a).argmax(1) == b).sum().item() for a, b in zip(x.split(100), y.split(100))) / len(y)


def entrenar(red, datos, validacion):
    x, y = datos
    perdida = nn.CrossEntropyLoss()
    opt = torch.optim.AdamW(red.parameters(), lr=2e-3, weight_decay=0)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCAS)
    for epoca in range(1, EPOCAS + 1):
        red.train()
        suma = 0.0
        for idx in torch.randperm(len(x)).split(LOTE):
            opt.zero_grad()
            valor = perdida(red(x[idx]), y[idx])
            valor.backward()
            opt.step()
            suma += valor.item() * len(idx)
        plan.step()
        print(f"época {epoca}: pérdida {suma / len(x):.3f}, validación {aciertos(red, validacion):.3f}")


def principal():
    torch.manual_seed(SEMILLA)
    azar = np.random.default_rng(SEMILLA)
    tren, validacion, prueba = coleccion(1200, azar), coleccion(240, azar), coleccion(500, azar)
    media = tren[0].mean((0, 2, 3), keepdim=True)
    desv = tren[0].std((0, 2, 3), keepdim=True)
    tren, validacion, prueba = [((x - media) / desv, y) for x, y in (tren, validacion, prueba)]
    red = RedDePiezas(len(DIBUJOS))
    entrenar(red, tren, validacion)
    print(f"exactitud en la prueba: {aciertos(red, prueba):.4f}")


if __name__ == "__main__":
    principal()
