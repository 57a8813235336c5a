# Reconocer letras manuscritas (simuladas) con capas escritas por nosotros.
# Trabajo de la asignatura "Redes neuronales": nada de nn.Conv2d ni nn.Linear.
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# trazos de cada letra en una rejilla [0,1]x[0,1]
LETRAS = {
    "A": [[(0, 1), (.5, 0), (1, 1)], [(.25, .55), (.75, .55)]],
    "E": [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, .5), (.8, .5)]],
    "H": [[(0, 0), (0, 1)], [(1, 0), (1, 1)], [(0, .5), (1, .5)]],
    "L": [[(0, 0), (0, 1), (.9, 1)]],
    "N": [[(0, 1), (0, 0), (1, 1), (1, 0)]],
    "T": [[(0, 0), (1, 0)], [(.5, 0), (.5, 1)]],
    "X": [[(0, 0), (1, 1)], [(1, 0), (0, 1)]],
    "Z": [[(0, 0), (1, 0), (0, 1), (1, 1)]],
}
LADO = 20


# ---------- capas ----------
class Densa(nn.Module):
    """y = x W + b, con W de (entradas, salidas)."""

    def __init__(self, entradas, salidas, ganancia="relu"):
        super().__init__()
        self.W = nn.Parameter(torch.empty(entradas, salidas))
        self.b = nn.Parameter(torch.zeros(salidas))
        nn.init.kaiming_normal_(self.W, nonlinearity=ganancia)

    def forward(self, x):
        return x @ self.W + self.b


class Convolucion(nn.Module):
    """Convolución como producto de matrices: se extraen los parches y pasan por una capa densa."""

    def __init__(self, canales, filtros, k=3, paso=1):
        super().__init__()
        self.k, self.paso = k, paso
        self.densa = Densa(canales * k * k, filtros)

    def forward(self, x):
        n, _, alto, ancho = x.shape
        parches = F.unfold(x, self.k, padding=self.k // 2, stride=self.paso)      # n, c*k*k, posiciones
        y = self.densa(parches.transpose(1, 2))                                   # n, posiciones, filtros
        return y.transpose(1, 2).reshape(n, -1, -(-alto // self.paso), -(-ancho // self.paso))


class Red(nn.Module):
    def __init__(self, clases):
        super().__init__()
        self.c1 = Convolucion(1, 12)
        self.c2 = Convolucion(12, 24, paso=2)
        self.c3 = Convolucion(24, 32, paso=2)
        self.d1 = Densa(32 * 5 * 5, 64)
        self.d2 = Densa(64, clases, ganancia="linear")

    def forward(self, x):
        x = F.relu(self.c1(x))
        x = F.relu(self.c2(x))
        x = F.relu(self.c3(x))
        x = F.relu(self.d1(x.flatten(1)))
        return self.d2(x)


# ---------- datos ----------
def escribir(letra, azar):
    gy, gx = np.mgrid[0:LADO, 0:LADO]
    ancho, alto = azar.uniform(8, 13), azar.uniform(9, 14)
    x0, y0 = azar.uniform(2, LADO - 2 - ancho), azar.uniform(2, LADO - 2 - alto)
    inclinacion, grosor = azar.normal(0, 0.15), azar.uniform(0.6, 1.1)
    dist = np.full((LADO, LADO), 99.0)
    for trazo in LETRAS[letra]:
        pts = [(x0 + ancho * u + inclinacion * alto * (0.5 - v) + azar.normal(0, 0.4), y0 + alto * v + azar.normal(0, 0.4)) for u, v in trazo]
        for (ax, ay), (bx, by) in zip(pts, pts[1:]):
            dx, dy = bx - ax, by - ay
            t = np.clip(((gx - ax) * dx + (gy - ay) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
            dist = np.minimum(dist, np.hypot(gx - ax - t * dx, gy - ay - t * dy))
    tinta = 1 / (1 + np.exp((dist - grosor) * 4))
    papel = azar.uniform(0.0, 0.25)
    return papel + (azar.uniform(0.7, 1.0) - papel) * tinta + azar.normal(0, 0.1, tinta.shape)


def muestra(n, azar):
    nombres = list(LETRAS)
    y = azar.integers(0, len(nombres), n)
    x = np.stack([escribir(nombres[i], azar) for i in y])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


def acierto(red, x, y):
    red.eval()
    with torch.inference_mode():
        return (red(x).argmax(1) == y).double().mean().item()


def principal():
    torch.manual_seed(7)
    azar = np.random.default_rng(7)
    x, y = muestra(1500, azar)
    xv, yv = muestra(300, azar)
    xp, yp = muestra(500, azar)
    media, desv = x.mean(), x.std()
    x, xv, xp = (x - media) / desv, (xv - media) / desv, (xp - media) / desv

    red = Red(len(LETRAS))
    opt = torch.optim.SGD(red.parameters(), lr=0.02, momentum=0.9)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 8)
    inicio = time.time()
    for epoca in range(8):
        red.train()
        total = 0.0
        for lote in torch.randperm(len(x)).split(30):
            opt.zero_grad()
            coste = F.cross_entropy(red(x[lote]), y[lote])
            coste.backward()
            opt.step()
            total += coste.item() * len(lote)
        plan.step()
        print(f"época {epoca + 1}: coste {total / len(x):.4f}  validación {acierto(red, xv, yv):.3f}  ({time.time() - inicio:.0f} s)")
    print(f"acierto en la prueba: {acierto(red, xp, yp):.4f}")


if __name__ == "__main__":
    principal()
