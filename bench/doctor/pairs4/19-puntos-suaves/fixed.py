"""Contar manchas (de 1 a 6) con una red separable en profundidad y etiquetas suavizadas."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

LADO = 24
CLASES = 6


def imagen(cuantas, gen):
    """Coloca `cuantas` manchas gaussianas separadas entre sí."""
    centros = []
    while len(centros) < cuantas:
        c = gen.uniform(3, LADO - 4, 2)
        if all(np.hypot(*(c - otro)) > 5.5 for otro in centros):
            centros.append(c)
    yy, xx = np.mgrid[0:LADO, 0:LADO]
    lienzo = np.zeros((LADO, LADO))
    for cy, cx in centros:
        lienzo += gen.uniform(0.8, 1.2) * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / (2 * 1.3 ** 2))
    return lienzo + gen.normal(0, 0.1, lienzo.shape)


def conjunto(n, gen):
    y = gen.permutation(np.arange(n) % CLASES)
    x = np.stack([imagen(k + 1, gen) for k in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


class Separable(nn.Module):
    def __init__(self, ent, sal):
        super().__init__()
        self.prof = nn.Conv2d(ent, ent, 3, padding=1, groups=ent, bias=False)
        self.bn_prof = nn.BatchNorm2d(ent)
        self.punto = nn.Conv2d(ent, sal, 1, bias=False)
        self.bn_punto = nn.BatchNorm2d(sal)

    def forward(self, x):
        x = F.relu(self.bn_prof(self.prof(x)))
        return F.relu(self.bn_punto(self.punto(x)))


class Red(nn.Module):
    def __init__(self):
        super().__init__()
        self.tallo = nn.Conv2d(1, 12, 3, padding=1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(12)
        self.b1 = Separable(12, 24)
        self.b2 = Separable(24, 32)
        self.salida = nn.Linear(32 * 4, CLASES)

    def forward(self, x):
        x = self.b1(F.relu(self.bn(self.tallo(x))))
        x = self.b2(F.max_pool2d(x, 2))
        return self.salida(F.adaptive_avg_pool2d(x, 2).flatten(1))


class EntropiaSuave(nn.Module):
    """Entropía cruzada contra una distribución objetivo suavizada."""

    def __init__(self, clases, eps=0.05):
        super().__init__()
        self.clases, self.eps = clases, eps

    def objetivo(self, y):
        q = torch.full((len(y), self.clases), self.eps / self.clases)
        return q.scatter_add_(1, y[:, None], torch.full((len(y), 1), 1 - self.eps))

    def forward(self, logits, y):
        logp = F.log_softmax(logits, dim=1)
        return -(self.objetivo(y) * logp).sum(dim=1).mean()


def entrenar(red, x, y, epocas=8, lote=48):
    perdida = EntropiaSuave(CLASES)
    opt = torch.optim.SGD(red.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    pasos = epocas * (len(x) // lote)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=pasos)
    for epoca in range(epocas):
        red.train()
        suma = 0.0
        orden = torch.randperm(len(x))
        for i in range(0, len(x), lote):
            idx = orden[i:i + lote]
            opt.zero_grad()
            valor = perdida(red(x[idx]), y[idx])
            valor.backward()
            opt.step()
            plan.step()
            suma += valor.item() * len(idx)
        print(f"época {epoca + 1}: pérdida {suma / len(x):.3f}")


def evaluar(red, x, y):
    red.eval()
    with torch.no_grad():
        return (red(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(19)
    gen = np.random.default_rng(19)
    x_ent, y_ent = conjunto(1440, gen)
    x_pru, y_pru = conjunto(480, gen)
    media, desv = x_ent.mean(), x_ent.std()
    red = Red()
    entrenar(red, (x_ent - media) / desv, y_ent)
    print(f"accuracy: {evaluar(red, (x_pru - media) / desv, y_pru):.3f}")
