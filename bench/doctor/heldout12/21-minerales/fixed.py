# Clasificación de láminas delgadas: seis minerales, imágenes en carpetas
#   datos/classes.txt
#   datos/{train,val,test}/<mineral>/*.png
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(42)
torch.set_num_threads(1)
LADO = 24


# ---------- imágenes sintéticas ----------
def lamina(rng, mineral):
    y, x = np.mgrid[:LADO, :LADO].astype(float)
    a = rng.uniform(0, np.pi)
    u = x * np.cos(a) + y * np.sin(a)
    v = y * np.cos(a) - x * np.sin(a)
    f = rng.uniform(0.85, 1.15)
    fase = rng.uniform(0, 6.28, 2)
    if mineral == "augita":          # dos exfoliaciones cruzadas
        t = np.maximum(np.sin(1.3 * f * u + fase[0]), np.sin(1.3 * f * v + fase[1]))
    elif mineral == "biotita":       # laminillas finas
        t = np.sin(1.7 * f * u + fase[0])
    elif mineral == "cuarzo":        # extinción ondulante
        t = np.sin(0.45 * f * u + 0.8 * np.sin(0.3 * v) + fase[0])
    elif mineral == "granate":       # grano redondo isótropo
        r = np.hypot(x - LADO / 2 - rng.uniform(-3, 3), y - LADO / 2 - rng.uniform(-3, 3))
        t = np.tanh(r - rng.uniform(5, 8))
    elif mineral == "olivino":       # fracturas irregulares
        t = 1.6 - 5 * np.abs(gaussian_filter(rng.normal(0, 1, (LADO, LADO)), 2.0) / 0.14) ** 0.5
        t = np.clip(t, -1, 1)
    else:                            # plagioclasa: maclas anchas
        t = np.sign(np.sin(0.8 * f * u + fase[0]))
    tinte = np.array([0.5, 0.5, 0.5]) + rng.normal(0, 0.08, 3)
    im = tinte + 0.16 * rng.uniform(0.7, 1.3) * t[..., None] + rng.normal(0, 0.1, (LADO, LADO, 3))
    return Image.fromarray((255 * np.clip(im, 0, 1)).astype("uint8"))


def escribir_datos(raiz):
    rng = np.random.default_rng(42)
    minerales = ["augita", "biotita", "cuarzo", "granate", "olivino", "plagioclasa"]
    with open(os.path.join(raiz, "classes.txt"), "w") as fh:
        fh.write("\n".join(minerales))
    for parte, n in (("train", 170), ("val", 50), ("test", 70)):
        for m in minerales:
            carpeta = os.path.join(raiz, parte, m)
            os.makedirs(carpeta)
            for i in range(n):
                lamina(rng, m).save(os.path.join(carpeta, f"{i:04d}.png"))
    # láminas que el laboratorio todavía no ha podido determinar
    carpeta = os.path.join(raiz, "train", "dudosas")
    os.makedirs(carpeta)
    for i in range(12):
        lamina(rng, rng.choice(minerales)).save(os.path.join(carpeta, f"{i:04d}.png"))


# ---------- lectura ----------
class Carpeta(Dataset):
    def __init__(self, raiz, parte, estadistica=None):
        base = Path(raiz, parte)
        self.clases = Path(raiz, "classes.txt").read_text().split()
        imagenes, self.etiquetas = [], []
        for k, clase in enumerate(self.clases):
            for f in sorted((base / clase).glob("*.png")):
                with Image.open(f) as im:
                    imagenes.append(np.asarray(im.convert("RGB"), dtype=np.float32) / 255)
                self.etiquetas.append(k)
        x = np.stack(imagenes)
        if estadistica is None:
            estadistica = x.mean((0, 1, 2)), x.std((0, 1, 2))
        self.estadistica = estadistica
        self.x = torch.from_numpy((x - estadistica[0]) / estadistica[1]).permute(0, 3, 1, 2).contiguous()

    def __len__(self):
        return len(self.etiquetas)

    def __getitem__(self, i):
        return self.x[i], self.etiquetas[i]


# ---------- modelo ----------
class RedMineral(nn.Module):
    def __init__(self, n_clases):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 5, padding=2)
        self.conv2 = nn.Conv2d(24, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(48, n_clases)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x)).mean((2, 3))
        return F.log_softmax(self.fc(self.drop(x)), dim=1)


def evaluar(red, cargador):
    red.eval()
    perdida, aciertos, n = 0.0, 0, 0
    with torch.no_grad():
        for x, y in cargador:
            salida = red(x)
            perdida += F.nll_loss(salida, y, reduction="sum").item()
            aciertos += (salida.argmax(1) == y).sum().item()
            n += len(y)
    return perdida / n, aciertos / n


raiz = tempfile.mkdtemp()
try:
    escribir_datos(raiz)
    train = Carpeta(raiz, "train")
    val = Carpeta(raiz, "val", train.estadistica)
    test = Carpeta(raiz, "test", train.estadistica)
finally:
    shutil.rmtree(raiz)
print(len(train), "imágenes de entrenamiento,", len(val), "de validación,", len(test), "de prueba")

carga_train = DataLoader(train, batch_size=34, shuffle=True)
carga_val = DataLoader(val, batch_size=100)
carga_test = DataLoader(test, batch_size=105)

red = RedMineral(len(train.clases))
opt = torch.optim.Adam(red.parameters(), lr=2e-3)
mejor, guardado = -1.0, None
for epoca in range(12):
    red.train()
    suma = 0.0
    for x, y in carga_train:
        opt.zero_grad()
        perdida = F.nll_loss(red(x), y)
        perdida.backward()
        opt.step()
        suma += perdida.item() * len(y)
    pv, av = evaluar(red, carga_val)
    print(f"época {epoca + 1:2d} | train {suma / len(train):.3f} | val {pv:.3f} | acierto val {av:.3f}")
    if av > mejor:
        mejor = av
        guardado = {k: v.clone() for k, v in red.state_dict().items()}

red.load_state_dict(guardado)
print(f"acierto en prueba: {evaluar(red, carga_test)[1]:.4f}")
