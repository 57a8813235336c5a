# Clasificación de texturas sintéticas (6 clases) con una CNN pequeña.
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEMILLA = 7
CLASES = ["horizontal", "vertical", "diagonal", "ajedrez", "anillos", "puntos"]
LADO = 24


def dibuja(clase, rng):
    fase = rng.uniform(0, 2 * math.pi)
    frec = rng.uniform(0.7, 1.2)
    yy, xx = np.mgrid[0:LADO, 0:LADO].astype(np.float32)
    if clase == 0:
        img = np.sin(frec * yy + fase)
    elif clase == 1:
        img = np.sin(frec * xx + fase)
    elif clase == 2:
        img = np.sin(frec * (xx + yy) * 0.7 + fase)
    elif clase == 3:
        img = np.sign(np.sin(frec * xx + fase) * np.sin(frec * yy + fase))
    elif clase == 4:
        cx, cy = rng.uniform(6, 18, size=2)
        img = np.sin(frec * np.hypot(xx - cx, yy - cy) + fase)
    else:
        img = np.maximum(np.sin(frec * xx + fase), 0) * np.maximum(np.sin(frec * yy), 0) * 3 - 1
    return (img + rng.normal(0, 0.9, img.shape)).astype(np.float32)


def crea_datos(por_clase, semilla):
    rng = np.random.default_rng(semilla)
    etiquetas = np.repeat(np.arange(len(CLASES)), por_clase)
    imagenes = np.stack([dibuja(c, rng) for c in etiquetas])[:, None]
    return torch.from_numpy(imagenes), torch.from_numpy(etiquetas).long()


def cabeza(dims, p=0.1):
    capas = []
    for i in range(len(dims) - 1):
        capas.append(nn.Linear(dims[i], dims[i + 1]))
        if i < len(dims) - 2:
            capas.append(nn.ReLU())
        if i == 0:
            capas.append(nn.Dropout(p))
    return nn.Sequential(*capas)


class Red(nn.Module):
    def __init__(self, n_clases):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.cabeza = cabeza([32, 48, 24, n_clases])

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.cabeza(F.adaptive_avg_pool2d(x, 1).flatten(1))


def evalua(red, cargador):
    red.eval()
    aciertos = total = 0
    with torch.no_grad():
        for x, y in cargador:
            aciertos += (red(x).argmax(dim=1) == y).sum().item()
            total += y.numel()
    return aciertos / total


def main():
    torch.manual_seed(SEMILLA)
    x_ent, y_ent = crea_datos(200, 1)
    x_pru, y_pru = crea_datos(80, 2)
    media, desv = x_ent.mean(), x_ent.std()
    entreno = DataLoader(TensorDataset((x_ent - media) / desv, y_ent), batch_size=40, shuffle=True)
    prueba = DataLoader(TensorDataset((x_pru - media) / desv, y_pru), batch_size=120)

    red = Red(len(CLASES))
    optimizador = torch.optim.Adam(red.parameters(), lr=2e-3)
    for epoca in range(12):
        red.train()
        suma = 0.0
        for x, y in entreno:
            optimizador.zero_grad()
            perdida = F.cross_entropy(red(x), y)
            perdida.backward()
            optimizador.step()
            suma += perdida.item()
        print(f"época {epoca + 1:2d}  pérdida {suma / len(entreno):.4f}")
    print(f"accuracy: {evalua(red, prueba):.3f}")


if __name__ == "__main__":
    main()
