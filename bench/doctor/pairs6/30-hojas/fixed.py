"""Lectura de hojas de respuestas: 5 preguntas, opciones A-E, una marca por pregunta."""
import numpy as np
import torch
from torch import nn

PREGUNTAS = 5
OPCIONES = "ABCDE"
LADO = 40


class GeneradorHojas:
    """Dibuja hojas escaneadas con marcas a lápiz, borrones y mala iluminación."""

    def __init__(self, semilla):
        self.azar = np.random.default_rng(semilla)
        self.yy, self.xx = np.mgrid[:LADO, :LADO].astype(np.float32)

    def _disco(self, cy, cx, radio):
        d = np.hypot(self.yy - cy, self.xx - cx)
        return 1 / (1 + np.exp(((d - radio) / 0.35).clip(-30, 30)))

    def hoja(self):
        az = self.azar
        claves = az.integers(0, len(OPCIONES), PREGUNTAS)
        papel = az.uniform(0.7, 0.95) + az.uniform(-0.005, 0.005) * (self.xx - LADO / 2)
        img = papel.astype(np.float32)
        y0, x0 = 6 + az.normal(0, 1.3), 6 + az.normal(0, 1.3)
        paso, giro = 7 * az.uniform(0.96, 1.04), az.normal(0, 0.03)
        for p in range(PREGUNTAS):
            for o in range(len(OPCIONES)):
                cy = y0 + paso * p + giro * paso * o
                cx = x0 + paso * o - giro * paso * p
                anillo = self._disco(cy, cx, 2.7) - self._disco(cy, cx, 1.9)
                img -= az.uniform(0.15, 0.25) * anillo
                if o == claves[p]:
                    fuerza = az.uniform(0.24, 0.55)
                elif az.random() < 0.12:                   # respuesta borrada
                    fuerza = az.uniform(0.05, 0.2)
                else:
                    continue
                img -= fuerza * self._disco(cy + az.normal(0, 0.5), cx + az.normal(0, 0.5), az.uniform(1.6, 2.6))
        img += az.normal(0, 0.08, img.shape)
        return img.astype(np.float32), claves

    def lote(self, n):
        imgs, claves = zip(*(self.hoja() for _ in range(n)))
        return torch.from_numpy(np.stack(imgs))[:, None], torch.from_numpy(np.stack(claves))


class Lector(nn.Module):
    """Devuelve puntuaciones de forma (hojas, preguntas, opciones)."""

    def __init__(self):
        super().__init__()
        self.rasgos = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.salida = nn.Sequential(nn.Dropout(0.4),
                                    nn.Linear(24 * (LADO // 4) ** 2, PREGUNTAS * len(OPCIONES)))

    def forward(self, x):
        z = self.salida(self.rasgos(x).flatten(1))
        return z.view(-1, PREGUNTAS, len(OPCIONES))


class Entrenamiento:
    def __init__(self, lector, tasa, epocas, tam_lote):
        self.lector, self.epocas, self.tam_lote = lector, epocas, tam_lote
        self.optim = torch.optim.Adam(lector.parameters(), lr=tasa)
        self.plan = torch.optim.lr_scheduler.ExponentialLR(self.optim, gamma=0.8)
        self.perdida = nn.CrossEntropyLoss()

    def ajustar(self, x, claves, x_val, claves_val):
        for ep in range(self.epocas):
            self.lector.train()
            acumulada = 0.0
            for idx in torch.randperm(len(x)).split(self.tam_lote):
                puntos = self.lector(x[idx])
                # CrossEntropyLoss espera las clases en la segunda dimensión
                coste = self.perdida(puntos.transpose(1, 2), claves[idx])
                self.optim.zero_grad()
                coste.backward()
                self.optim.step()
                acumulada += coste.item() * len(idx)
            self.plan.step()
            print(f"época {ep + 1}: pérdida {acumulada / len(x):.3f}, "
                  f"validación {self.acierto(x_val, claves_val):.3f}")

    @torch.no_grad()
    def acierto(self, x, claves):
        """Proporción de preguntas bien leídas."""
        self.lector.eval()
        bien = 0
        for xb, cb in zip(x.split(100), claves.split(100)):
            leidas = self.lector(xb).argmax(dim=2)
            bien += (leidas == cb).sum().item()
        return bien / claves.numel()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(31)
    fabrica = GeneradorHojas(semilla=31)
    x, claves = fabrica.lote(1200)
    x_val, claves_val = fabrica.lote(200)
    x_prueba, claves_prueba = fabrica.lote(400)
    media, desvio = x.mean(), x.std()
    x, x_val, x_prueba = ((t - media) / desvio for t in (x, x_val, x_prueba))

    ent = Entrenamiento(Lector(), tasa=2e-3, epocas=5, tam_lote=40)
    ent.ajustar(x, claves, x_val, claves_val)
    print(f"acierto por pregunta en la prueba: {ent.acierto(x_prueba, claves_prueba):.4f}")
