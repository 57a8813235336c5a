#!/usr/bin/env python
# coding: utf-8

# # Clasificación de tejidos por su trama
#
# Recortes pequeños de tela, seis ligamentos. Iluminación, paso del hilo, contraste y fase cambian de un recorte a otro.

# In[1]:

import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
azar = np.random.default_rng(3)
LADO = 20
LIGAMENTOS = ["vertical", "horizontal", "diagonal", "contradiagonal", "tafetán", "puntos"]


# ## 1. Datos

# In[2]:

def onda(angulo, paso, fase):
    v, u = np.mgrid[0:LADO, 0:LADO]
    return np.cos(2 * math.pi * (u * math.cos(angulo) + v * math.sin(angulo)) / paso + fase)


def recorte(k):
    giro = azar.normal(0, math.radians(7))
    paso = azar.uniform(4.0, 7.0)
    f1, f2 = azar.uniform(0, 2 * math.pi, 2)
    if k < 4:
        trama = onda([0, math.pi / 2, math.pi / 4, -math.pi / 4][k] + giro, paso, f1)
    elif k == 4:
        trama = onda(giro, paso, f1) * onda(math.pi / 2 + giro, paso, f2) * 1.4
    else:
        trama = np.maximum(onda(giro, paso, f1) + onda(math.pi / 2 + giro, paso, f2), 0) * 1.4 - 0.5
    signo = azar.choice([-1.0, 1.0])
    luz = azar.uniform(0.3, 0.7) + onda(azar.uniform(0, 2 * math.pi), 60, azar.uniform(0, 6.3)) * 0.1
    return luz + signo * azar.uniform(0.1, 0.25) * trama + azar.normal(0, 0.12, (LADO, LADO))


def conjunto(n):
    y = azar.permutation(np.arange(n) % len(LIGAMENTOS))
    x = np.stack([recorte(k) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_ent, y_ent = conjunto(1200)
x_val, y_val = conjunto(300)
x_pru, y_pru = conjunto(600)
media, desv = x_ent.mean(), x_ent.std()
x_ent, x_val, x_pru = [(x - media) / desv for x in (x_ent, x_val, x_pru)]
print("entrenamiento", tuple(x_ent.shape), " validación", tuple(x_val.shape), " prueba", tuple(x_pru.shape))


# ## 2. Red
#
# Tres bloques convolución – normalización – activación – reducción y una cabeza densa.

# In[3]:

class Bloque(nn.Module):
    def __init__(self, entra, sale):
        super().__init__()
        self.conv = nn.Conv2d(entra, sale, 3, padding=1, bias=False)
        self.norma = nn.BatchNorm2d(sale)
        self.activa = nn.SiLU()
        self.reduce = nn.AvgPool2d(2)

    def forward(self, x):
        x = self.norma(self.conv(x))
        self.activa(x)
        return self.reduce(x)


class Red(nn.Module):
    def __init__(self, clases, canales=(16, 32, 48)):
        super().__init__()
        self.bloques = nn.Sequential(*[Bloque(a, b) for a, b in zip((1,) + canales, canales)])
        self.cabeza = nn.Sequential(
            nn.Flatten(),
            nn.Linear(canales[-1] * (LADO // 8) ** 2, 48),
            nn.ReLU(),
            nn.Linear(48, clases),
        )

    def forward(self, x):
        return self.cabeza(self.bloques(x))


red = Red(len(LIGAMENTOS))
print(red)


# ## 3. Entrenamiento

# In[4]:

carga = DataLoader(TensorDataset(x_ent, y_ent), batch_size=60, shuffle=True)
perdida = nn.CrossEntropyLoss()
EPOCAS = 9
opt = torch.optim.SGD(red.parameters(), lr=0.08, momentum=0.9, nesterov=True)
plan = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.08, epochs=EPOCAS, steps_per_epoch=len(carga))


def acierto(x, y):
    red.eval()
    with torch.no_grad():
        return (red(x).argmax(1) == y).float().mean().item()


historia = []
for epoca in range(EPOCAS):
    red.train()
    suma = 0.0
    for xb, yb in carga:
        opt.zero_grad()
        p = perdida(red(xb), yb)
        p.backward()
        opt.step()
        plan.step()
        suma += p.item() * len(yb)
    historia.append((suma / len(y_ent), acierto(x_val, y_val)))
    print("época %d   pérdida %.3f   validación %.3f" % (epoca + 1, *historia[-1]))


# ## 4. Prueba final

# In[5]:

red.eval()
with torch.no_grad():
    pred = red(x_pru).argmax(1)
tabla = torch.zeros(6, 6, dtype=torch.long)
tabla.index_put_((y_pru, pred), torch.ones_like(y_pru), accumulate=True)
for nombre, fila in zip(LIGAMENTOS, tabla.tolist()):
    print(f"{nombre:>15s}", *(f"{v:4d}" for v in fila))

print(f"acierto en prueba: {(pred == y_pru).float().mean().item():.4f}")
