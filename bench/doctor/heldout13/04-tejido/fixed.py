# Clasificación de cortes histológicos: la imagen se parte en teselas, cada una pasa por el mismo
# codificador y la decisión se toma con la suma de sus descriptores.
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

CLASES = ("normal", "inflamacion", "fibrosis", "adiposo", "tumor")
LADO, TESELA = 32, 16
EPOCAS, LOTE = 9, 48
random.seed(5)
np.random.seed(5)
torch.manual_seed(5)


def corte(clase):
    esc = 2
    n = LADO * esc
    fondo = (random.randint(215, 240), random.randint(170, 205), random.randint(200, 225))
    im = Image.new("RGB", (n, n), fondo)
    d = ImageDraw.Draw(im)

    def nucleo(x, y, r, estira=1.0):
        color = (random.randint(80, 140), random.randint(50, 100), random.randint(120, 170))
        d.ellipse([x - r * estira, y - r, x + r * estira, y + r], fill=color)

    if clase == "normal":
        for _ in range(3):
            cx, cy, r = random.uniform(10, n - 10), random.uniform(10, n - 10), random.uniform(8, 11)
            for k in range(10):
                nucleo(cx + r * math.cos(k * 0.628), cy + r * math.sin(k * 0.628), 2)
    elif clase == "inflamacion":
        for _ in range(random.randint(28, 42)):
            nucleo(random.uniform(0, n), random.uniform(0, n), 1.8)
    elif clase == "fibrosis":
        fase, inclina = random.uniform(0, 9), random.uniform(-0.8, 0.8)
        for k in range(-6, 14):
            y = fase + k * 7
            d.line([0, y, n, y + inclina * n], fill=(205, 120, 160), width=2)
        for _ in range(7):
            nucleo(random.uniform(0, n), random.uniform(0, n), 1.5, 2.0)
    elif clase == "adiposo":
        for _ in range(9):
            x, y, r = random.uniform(0, n), random.uniform(0, n), random.uniform(7, 12)
            d.ellipse([x - r, y - r, x + r, y + r], fill=(245, 240, 243), outline=(190, 110, 150))
        for _ in range(4):
            nucleo(random.uniform(0, n), random.uniform(0, n), 1.8)
    else:
        for _ in range(random.randint(9, 15)):
            nucleo(random.uniform(0, n), random.uniform(0, n), random.uniform(3, 5), random.uniform(0.7, 1.4))
    im = im.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.2))).resize((LADO, LADO), Image.BOX)
    a = np.asarray(im, np.float32) / 255 * np.random.uniform(0.75, 1.1)
    return (a + np.random.normal(0, 0.05, a.shape)).transpose(2, 0, 1)


def muestra(por_clase):
    x = np.stack([corte(c) for c in CLASES for _ in range(por_clase)]).astype(np.float32)
    y = np.repeat(np.arange(len(CLASES)), por_clase)
    return torch.from_numpy(x), torch.from_numpy(y)


class PorTeselas(nn.Module):
    def __init__(self, clases, canales=40):
        super().__init__()
        self.canales = canales
        self.codificador = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, canales, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.salida = nn.Linear(canales, clases)

    def forward(self, x):
        filas = x.unfold(2, TESELA, TESELA).unfold(3, TESELA, TESELA)
        teselas = filas.flatten(2, 3).unbind(dim=2)
        suma = x.new_zeros(len(x), self.canales)
        for t in teselas:
            suma.add_(self.codificador(t))
        return self.salida(suma / len(teselas))


def lotes(x, y, barajar):
    orden = torch.randperm(len(x)) if barajar else torch.arange(len(x))
    for trozo in orden.split(LOTE):
        yield x[trozo], y[trozo]


@torch.no_grad()
def acierto(red, x, y):
    red.eval()
    buenos = 0
    for xb, yb in lotes(x, y, barajar=False):
        buenos += int((red(xb).argmax(1) == yb).sum())
    return buenos / len(x)


def entrenar():
    ent, val, pru = muestra(240), muestra(50), muestra(80)
    media, desv = ent[0].mean((0, 2, 3), keepdim=True), ent[0].std((0, 2, 3), keepdim=True)
    ent, val, pru = [((x - media) / desv, y) for x, y in (ent, val, pru)]

    red = PorTeselas(len(CLASES))
    opt = torch.optim.Adam(red.parameters(), lr=2e-3)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCAS)
    mejor, guardado = -1.0, None
    for epoca in range(EPOCAS):
        red.train()
        perdidas = []
        for xb, yb in lotes(*ent, barajar=True):
            opt.zero_grad()
            perdida = F.cross_entropy(red(xb), yb)
            perdida.backward()
            opt.step()
            perdidas.append(perdida.item())
        plan.step()
        av = acierto(red, *val)
        print("época %d  pérdida %.3f  validación %.3f" % (epoca + 1, sum(perdidas) / len(perdidas), av))
        if av > mejor:
            mejor, guardado = av, {k: v.clone() for k, v in red.state_dict().items()}
    red.load_state_dict(guardado)
    print("acierto en prueba: %.3f" % acierto(red, *pru))


if __name__ == "__main__":
    entrenar()
