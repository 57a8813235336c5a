# -*- coding: utf-8 -*-
"""Contorno melódico: una CNN lee el pentagrama por columnas y una GRU lo recorre de izquierda a derecha."""
import numpy as np
import torch
from torch import nn

CONTORNOS = ("sube", "baja", "arco", "valle", "zigzag", "plana")
ALTO, ANCHO = 24, 40


def contorno(tipo, s, rng):
    if tipo == "sube":
        return 2 * s - 1
    if tipo == "baja":
        return 1 - 2 * s
    if tipo == "arco":
        return 1 - 2 * np.abs(2 * s - 1)
    if tipo == "valle":
        return 2 * np.abs(2 * s - 1) - 1
    if tipo == "zigzag":
        return np.where(np.arange(len(s)) % 2 == 0, 0.9, -0.9) * rng.choice([-1, 1])
    return np.zeros_like(s)


def partitura(tipo, rng):
    img = np.zeros((ALTO, ANCHO))
    base = ALTO / 2 + rng.uniform(-3, 3)
    paso = rng.uniform(3.0, 3.6)
    for k in range(-2, 3):
        fila = int(round(base + k * paso))
        if 0 <= fila < ALTO:
            img[fila] += rng.uniform(0.2, 0.4)
    n = int(rng.integers(6, 9))
    s = np.linspace(0, 1, n)
    alturas = base - rng.uniform(4.5, 7.5) * contorno(tipo, s, rng) + rng.normal(0, 1.0, n)
    xs = np.linspace(4, ANCHO - 5, n) + rng.uniform(-1, 1, n)
    yy, xx = np.mgrid[:ALTO, :ANCHO]
    for x, y in zip(xs, alturas):
        img += np.exp(-((xx - x) / 1.5) ** 2 - ((yy - y) / 1.2) ** 2)
        img[max(0, int(y) - 6):max(0, int(y)), min(ANCHO - 1, int(x) + 2)] += 0.35
    return img * rng.uniform(0.6, 1.2) + rng.normal(0, 0.2, img.shape)


def conjunto(n, semilla):
    rng = np.random.default_rng(semilla)
    y = rng.permutation(np.arange(n) % len(CONTORNOS))
    x = np.stack([partitura(CONTORNOS[k], rng) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.long)


class LectorMelodico(nn.Module):
    def __init__(self, n_clases, oculto=48):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.gru = nn.GRU(16 * (ALTO // 4), oculto, batch_first=True)
        self.salida = nn.Linear(oculto, n_clases)

    def forward(self, x):
        mapa = self.conv(x)                            # lote, canales, alto, ancho
        columnas = mapa.permute(3, 0, 1, 2).flatten(2)  # una columna por paso
        estados, _ = self.gru(columnas)
        return self.salida(estados[-1])                # último paso


def precision(modelo, x, y, lote=150):
    modelo.eval()
    aciertos = 0
    with torch.no_grad():
        for xb, yb in zip(x.split(lote), y.split(lote)):
            aciertos += int((modelo(xb).argmax(dim=1) == yb).sum())
    return aciertos / len(y)


def entrenar(modelo, x, y, x_val, y_val, epocas=7, lote=30, lr=2e-3):
    funcion = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(modelo.parameters(), lr=lr)
    planif = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, mode="max", factor=0.5, patience=2)
    for ep in range(1, epocas + 1):
        modelo.train()
        total = 0.0
        orden = torch.randperm(len(y))
        for i in range(0, len(y), lote):
            idx = orden[i:i + lote]
            opt.zero_grad(set_to_none=True)
            perdida = funcion(modelo(x[idx]), y[idx])
            perdida.backward()
            nn.utils.clip_grad_norm_(modelo.parameters(), 5.0)
            opt.step()
            total += perdida.item() * len(idx)
        pv = precision(modelo, x_val, y_val)
        planif.step(pv)
        print(f"época {ep:2d} | pérdida {total / len(y):.3f} | validación {pv:.3f}")


if __name__ == "__main__":
    torch.manual_seed(8)
    x_ent, y_ent = conjunto(1500, 201)
    x_val, y_val = conjunto(300, 202)
    x_pru, y_pru = conjunto(600, 203)
    m, d = x_ent.mean(), x_ent.std()
    x_ent, x_val, x_pru = (x_ent - m) / d, (x_val - m) / d, (x_pru - m) / d
    modelo = LectorMelodico(len(CONTORNOS))
    entrenar(modelo, x_ent, y_ent, x_val, y_val)
    print(f"precisión en prueba: {precision(modelo, x_pru, y_pru):.4f}")
