"""Banderes al vent: quin dibuix té la bandera? Entrenador amb retrocrides (callbacks)."""
import copy

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

DIBUIXOS = ["franges", "pals", "creu", "aspa", "cercle", "cantó"]


def bandera(dibuix, atzar, alt=24, ample=32):
    y, x = np.mgrid[:alt, :ample].astype(float)
    ona = atzar.uniform(0.5, 2.2) * np.sin(x / atzar.uniform(3.5, 7) + atzar.uniform(0, 6.3))
    cy, cx = alt / 2 + atzar.uniform(-2, 2), ample / 2 + atzar.uniform(-3, 3)
    mig_h, mig_w = atzar.uniform(6.5, 8.5), atzar.uniform(9, 12.5)
    v, u = (y - cy + ona) / mig_h, (x - cx) / mig_w
    dins = (np.abs(u) < 1) & (np.abs(v) < 1)
    fons, motiu, cel = atzar.uniform(0.1, 0.95, (3, 3))
    while np.abs(fons - motiu).sum() < 0.6:
        motiu = atzar.uniform(0.1, 0.95, 3)
    if dibuix == "franges":
        m = np.abs(v) < 0.33
    elif dibuix == "pals":
        m = np.abs(u) < 0.33
    elif dibuix == "creu":
        m = (np.abs(v) < 0.2) | (np.abs(u + 0.2) < 0.15)
    elif dibuix == "aspa":
        m = np.abs(np.abs(u) - np.abs(v)) < 0.2
    elif dibuix == "cercle":
        m = np.hypot(u * mig_w / mig_h, v) < 0.55
    else:
        m = (u < -0.05) & (v < 0.05)
    tela = np.where(m[..., None], motiu, fons) * (1 + 0.1 * np.cos(x / 4 + ona))[..., None]
    foto = np.where(dins[..., None], tela, cel) + atzar.normal(0, 0.13, (alt, ample, 3))
    return foto.transpose(2, 0, 1).astype(np.float32)


def recull(n, llavor):
    atzar = np.random.default_rng(llavor)
    classes = atzar.permutation(np.arange(n) % len(DIBUIXOS))
    fotos = np.stack([bandera(DIBUIXOS[c], atzar) for c in classes])
    return torch.from_numpy(fotos), torch.from_numpy(classes)


class Retrocrida:
    def en_acabar_epoca(self, entrenador, mesures):
        pass

    def en_acabar(self, entrenador):
        pass


class Escriu(Retrocrida):
    def en_acabar_epoca(self, entrenador, mesures):
        print(f"època {entrenador.epoca:2d}: " + ", ".join(f"{k} {v:.3f}" for k, v in mesures.items()))


class GuardaMillor(Retrocrida):
    def __init__(self, mesura):
        self.mesura, self.millor, self.estat = mesura, -float("inf"), None

    def en_acabar_epoca(self, entrenador, mesures):
        if mesures[self.mesura] > self.millor:
            self.millor = mesures[self.mesura]
            self.estat = copy.deepcopy(entrenador.xarxa.state_dict())

    def en_acabar(self, entrenador):
        entrenador.xarxa.load_state_dict(self.estat)


class AjustaPas(Retrocrida):
    """Redueix el pas d'aprenentatge quan la mesura deixa de millorar."""

    def __init__(self, planificador, mesura):
        self.planificador, self.mesura = planificador, mesura

    def en_acabar_epoca(self, entrenador, mesures):
        self.planificador.step(mesures[self.mesura])


class Entrenador:
    def __init__(self, xarxa, optimitzador, retrocrides):
        self.xarxa, self.optimitzador, self.retrocrides = xarxa, optimitzador, retrocrides
        self.criteri = nn.CrossEntropyLoss()
        self.epoca = 0

    def entrena(self, dades, validacio, epoques):
        for self.epoca in range(1, epoques + 1):
            self.xarxa.train()
            suma = 0.0
            for x, y in dades:
                self.optimitzador.zero_grad()
                perdua = self.criteri(self.xarxa(x), y)
                perdua.backward()
                self.optimitzador.step()
                suma += perdua.item()
            mesures = {"pèrdua": suma / len(dades), "encerts": self.avalua(validacio)}
            for r in self.retrocrides:
                r.en_acabar_epoca(self, mesures)
        for r in self.retrocrides:
            r.en_acabar(self)

    @torch.no_grad()
    def avalua(self, dades):
        self.xarxa.eval()
        return sum((self.xarxa(x).argmax(1) == y).sum().item() for x, y in dades) / len(dades.dataset)


def fes_xarxa():
    def capa(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))

    return nn.Sequential(capa(3, 16), capa(16, 24), capa(24, 32), nn.Flatten(), nn.Linear(32 * 3 * 4, len(DIBUIXOS)))


def principal():
    torch.manual_seed(6)
    (x, y), (xv, yv), (xp, yp) = recull(1200, 1), recull(300, 2), recull(480, 3)
    m, s = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    dades = DataLoader(TensorDataset((x - m) / s, y), batch_size=60, shuffle=True)
    validacio = DataLoader(TensorDataset((xv - m) / s, yv), batch_size=150)
    prova = DataLoader(TensorDataset((xp - m) / s, yp), batch_size=160)

    xarxa = fes_xarxa()
    optimitzador = torch.optim.SGD(xarxa.parameters(), lr=0.003, momentum=0.9)
    planificador = ReduceLROnPlateau(optimitzador, factor=0.1, patience=2)
    entrenador = Entrenador(
        xarxa, optimitzador, [AjustaPas(planificador, "encerts"), GuardaMillor("encerts"), Escriu()]
    )
    entrenador.entrena(dades, validacio, epoques=18)
    print(f"encerts a la prova: {entrenador.avalua(prova):.4f}")


if __name__ == "__main__":
    principal()
