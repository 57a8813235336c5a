"""Clasificación de defectos en chapa laminada con una pequeña envoltura al estilo de Keras."""
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

CLASES = ["sano", "rayon", "inclusion", "picadura"]
CUANTAS = [600, 320, 130, 110]
LADO = 24


# ------------------------------------------------------------------ imágenes
def chapa(clase, rng):
    grano = gaussian_filter(rng.normal(0, 1, (LADO, LADO)), (0.4, rng.uniform(1.0, 3.0)))
    img = 0.5 + 0.09 * grano / grano.std() + rng.normal(0, 0.05)
    img += rng.uniform(-0.006, 0.006) * np.arange(LADO)[:, None]
    yy, xx = np.mgrid[:LADO, :LADO]
    cy, cx = rng.uniform(6, LADO - 6, 2)
    if clase == "rayon":
        ang = rng.normal(np.pi / 2, 0.5)
        d = np.abs((xx - cx) * np.sin(ang) - (yy - cy) * np.cos(ang))
        largo = np.abs((xx - cx) * np.cos(ang) + (yy - cy) * np.sin(ang)) < rng.uniform(5, 11)
        img += rng.uniform(0.13, 0.32) * np.exp(-(d / 0.9) ** 2) * largo
    elif clase == "inclusion":
        a, b = rng.uniform(2.4, 4.5), rng.uniform(1.3, 2.4)
        img -= rng.uniform(0.13, 0.32) * np.exp(-((xx - cx) / a) ** 2 - ((yy - cy) / b) ** 2)
    elif clase == "picadura":
        for _ in range(rng.integers(3, 8)):
            py, px = cy + rng.normal(0, 3.5), cx + rng.normal(0, 3.5)
            img -= rng.uniform(0.13, 0.32) * np.exp(-((xx - px) ** 2 + (yy - py) ** 2) / 1.6)
    return img


def reunir(rng):
    X = [chapa(CLASES[c], rng) for c, n in enumerate(CUANTAS) for _ in range(n)]
    y = [c for c, n in enumerate(CUANTAS) for _ in range(n)]
    return np.array(X, dtype="float32")[:, None], np.array(y)


def equilibrar(X, y, rng):
    """Iguala las clases con copias reflejadas y algo ruidosas de las escasas."""
    tope = np.bincount(y).max()
    nuevas_X, nuevas_y = [X], [y]
    for c in np.unique(y):
        propias = np.flatnonzero(y == c)
        elegidas = rng.choice(propias, tope - len(propias))
        copias = X[elegidas].copy()
        espejo = rng.random(len(copias)) < 0.5
        copias[espejo] = copias[espejo, :, :, ::-1]
        copias += rng.normal(0, 0.02, copias.shape).astype("float32")
        nuevas_X.append(copias)
        nuevas_y.append(np.full(len(copias), c))
    return np.concatenate(nuevas_X), np.concatenate(nuevas_y)


def repartir(X, y, prueba, rng):
    """Reparto estratificado."""
    mascara = np.zeros(len(y), bool)
    for c in np.unique(y):
        indices = rng.permutation(np.flatnonzero(y == c))
        mascara[indices[:int(prueba * len(indices))]] = True
    return X[~mascara], y[~mascara], X[mascara], y[mascara]


# ------------------------------------------------------------------ envoltura
class Modelo:
    def __init__(self, *capas):
        self.red = nn.Sequential(*capas)

    def compile(self, optimizador, perdida, metrica):
        self.opt = optimizador(self.red.parameters())
        self.perdida, self.metrica = perdida, metrica

    def fit(self, X, y, epochs, batch_size):
        X, y = torch.as_tensor(X), torch.as_tensor(y)
        for epoca in range(1, epochs + 1):
            self.red.train()
            total = 0.0
            orden = torch.randperm(len(y))
            for i in range(0, len(y), batch_size):
                lote = orden[i:i + batch_size]
                self.opt.zero_grad()
                perdida = self.perdida(self.red(X[lote]), y[lote])
                perdida.backward()
                self.opt.step()
                total += perdida.item() * len(lote)
            print(f"Época {epoca}/{epochs} - pérdida: {total / len(y):.4f}")
        return self

    def predict(self, X):
        self.red.eval()
        with torch.no_grad():
            return self.red(torch.as_tensor(X)).argmax(1).numpy()

    def evaluate(self, X, y):
        return self.metrica(y, self.predict(X))


def exactitud_equilibrada(y, p):
    return float(np.mean([(p[y == c] == c).mean() for c in np.unique(y)]))


def conv(ent, sal):
    return nn.Sequential(nn.Conv2d(ent, sal, 3, padding=1), nn.GroupNorm(4, sal), nn.ReLU(), nn.MaxPool2d(2))


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(7)
    rng = np.random.default_rng(7)

    X, y = reunir(rng)
    X, y = equilibrar(X, y, rng)
    X, y, X_prueba, y_prueba = repartir(X, y, 0.3, rng)
    media, desv = X.mean(), X.std()
    X, X_prueba = (X - media) / desv, (X_prueba - media) / desv

    modelo = Modelo(conv(1, 24), conv(24, 40), nn.Conv2d(40, 48, 3, padding=1), nn.ReLU(),
                    nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 6 * 6, len(CLASES)))
    modelo.compile(optimizador=lambda p: torch.optim.RMSprop(p, lr=6e-4),
                   perdida=nn.CrossEntropyLoss(), metrica=exactitud_equilibrada)
    modelo.fit(X, y, epochs=11, batch_size=40)
    print("exactitud equilibrada (prueba):", round(modelo.evaluate(X_prueba, y_prueba), 4))
