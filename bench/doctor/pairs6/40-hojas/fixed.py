# Enfermedades de la hoja del cafeto: fotos de teléfono de 24x24 píxeles en color.
# Las fotos borrosas u oscuras pesan menos en el entrenamiento.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

CLASES = {0: "sana", 1: "roya", 2: "ojo de gallo", 3: "minador", 4: "cercospora"}
LADO, LOTE, EPOCAS, TASA = 24, 32, 9, 0.04


def dibujar_hoja(azar, clase):
    y, x = np.mgrid[:LADO, :LADO].astype(np.float32)
    cx, cy, giro = azar.uniform(10, 14), azar.uniform(10, 14), azar.uniform(0, np.pi)
    u = (x - cx) * np.cos(giro) + (y - cy) * np.sin(giro)
    v = -(x - cx) * np.sin(giro) + (y - cy) * np.cos(giro)
    largo, ancho = azar.uniform(9, 12), azar.uniform(5.5, 8)
    hoja = (u / largo) ** 2 + (v / ancho) ** 2 < 1
    suelo = np.array([0.45, 0.38, 0.30]) + azar.uniform(-0.08, 0.08)
    verde = np.array([0.20, 0.50, 0.18]) + azar.normal(0, 0.04, 3)
    foto = np.where(hoja[..., None], verde, suelo)
    foto[hoja & (abs(v) < 0.6)] += 0.08

    def mancha(radio, color, fuerza=0.9):
        ang, d = azar.uniform(0, 2 * np.pi), np.sqrt(azar.uniform(0, 0.6))
        r = np.hypot(u - d * largo * np.cos(ang), v - d * ancho * np.sin(ang))
        m = fuerza * (hoja * np.exp(-(r / radio) ** 4))[..., None]
        foto[:] = (1 - m) * foto + m * np.array(color)

    if clase == 1:
        for _ in range(azar.integers(3, 7)):
            mancha(azar.uniform(1.2, 2.0), (0.80, 0.50, 0.10), 0.7)
    elif clase == 2:
        for _ in range(azar.integers(2, 5)):
            mancha(azar.uniform(1.4, 2.2), (0.62, 0.55, 0.45))
    elif clase == 3:
        for _ in range(azar.integers(1, 3)):
            mancha(azar.uniform(2.8, 4.0), (0.40, 0.26, 0.12), 0.8)
    elif clase == 4:
        for _ in range(azar.integers(3, 6)):
            mancha(azar.uniform(1.2, 1.8), (0.25, 0.12, 0.08), 0.8)

    borroso, luz = azar.uniform(0.2, 1.3), azar.uniform(0.5, 1.2)
    foto = gaussian_filter(foto, (borroso, borroso, 0)) * luz
    foto += azar.normal(0, 0.06, foto.shape)
    calidad = np.clip(1.4 - borroso, 0.2, 1.0) * np.clip(luz, 0.5, 1.0)
    return foto.transpose(2, 0, 1), calidad


def tomar_fotos(cuantas, semilla):
    azar = np.random.default_rng(semilla)
    y = azar.integers(0, len(CLASES), cuantas)
    fotos, calidades = zip(*(dibujar_hoja(azar, c) for c in y))
    return (torch.tensor(np.stack(fotos), dtype=torch.float32), torch.tensor(y),
            torch.tensor(calidades, dtype=torch.float32))


class Bloque(nn.Module):
    def __init__(self, entra, sale):
        super().__init__()
        self.conv = nn.Conv2d(entra, sale, 3, padding=1, bias=False)
        self.norma = nn.BatchNorm2d(sale)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.norma(self.conv(x))), 2)


class Red(nn.Module):
    def __init__(self):
        super().__init__()
        self.bloques = nn.ModuleList([Bloque(3, 12), Bloque(12, 24), Bloque(24, 32)])
        self.salida = nn.Linear(32 * 3 * 3, len(CLASES))

    def forward(self, x):
        for bloque in self.bloques:
            x = bloque(x)
        return self.salida(x.flatten(1))


def perdida_ponderada(logits, y, calidad):
    por_foto = F.cross_entropy(logits, y, reduction="none")
    peso = calidad / calidad.sum()
    return (peso * por_foto).sum()


@torch.no_grad()
def aciertos(red, x, y):
    red.eval()
    prediccion = torch.cat([red(parte).argmax(1) for parte in x.split(250)])
    return (prediccion == y).float()


torch.manual_seed(8)
x, y, calidad = tomar_fotos(1200, 1)
x_val, y_val, _ = tomar_fotos(300, 2)
x_prueba, y_prueba, calidad_prueba = tomar_fotos(600, 3)

# normalizar por canal con el conjunto de entrenamiento
media, desv = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
x, x_val, x_prueba = (x - media) / desv, (x_val - media) / desv, (x_prueba - media) / desv

red = Red()
optimizador = torch.optim.SGD(red.parameters(), lr=TASA, momentum=0.9)
agenda = torch.optim.lr_scheduler.MultiStepLR(optimizador, milestones=[6, 8], gamma=0.2)
for epoca in range(EPOCAS):
    red.train()
    suma = 0.0
    orden = torch.randperm(len(y))
    for i in orden.split(LOTE):
        lote = x[i]
        if torch.rand(()) < 0.5:
            lote = lote.flip(3)
        perdida = perdida_ponderada(red(lote), y[i], calidad[i])
        optimizador.zero_grad()
        perdida.backward()
        optimizador.step()
        suma += perdida.item() * len(i)
    agenda.step()
    print(f"época {epoca + 1}: pérdida {suma / len(y):.4f}, validación {aciertos(red, x_val, y_val).mean():.3f}")

bien = aciertos(red, x_prueba, y_prueba)
nitidas = calidad_prueba > calidad_prueba.median()
print(f"prueba: fotos nítidas {bien[nitidas].mean():.3f}, las demás {bien[~nitidas].mean():.3f}")
print(f"exactitud en {len(bien)} fotos de prueba: {bien.mean():.4f}")
