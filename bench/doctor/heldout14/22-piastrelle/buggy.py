"""
Controllo qualità delle piastrelle: che difetto mostra l'immagine della linea?

La telecamera salva blocchi .npz di 260 scatti, con le etichette dell'operatore nello stesso ordine.
Fino a marzo il flash ogni tanto non partiva e lo scatto usciva nero; quegli scatti si scartano.
"""
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DIFETTI = ("integra", "crepa", "macchia", "sbeccatura", "graffi")
N = 24
PER_BLOCCO = 260


def scatto(difetto, rng):
    y, x = np.mgrid[:N, :N].astype(float)
    im = rng.uniform(120, 190) + 5 * rng.normal() * (x - N / 2) / N + rng.normal(0, 9, (N, N))
    forza = rng.uniform(35, 70)
    cx, cy = rng.uniform(6, N - 6, 2)
    if difetto == "crepa":
        ang, onda = rng.uniform(0, np.pi), rng.uniform(0, 6)
        d = (x - cx) * np.sin(ang) - (y - cy) * np.cos(ang) + 1.5 * np.sin((x + y) / 3 + onda)
        im -= forza * np.exp(-(d / 0.8) ** 2)
    elif difetto == "macchia":
        im -= 0.6 * forza * np.exp(-(((x - cx) / rng.uniform(2.5, 5)) ** 2 + ((y - cy) / rng.uniform(2.5, 5)) ** 2))
    elif difetto == "sbeccatura":
        ang = rng.integers(4)
        px, py = (ang % 2) * (N - 1), (ang // 2) * (N - 1)
        im[np.hypot(x - px, y - py) + rng.normal(0, 0.6, (N, N)) < rng.uniform(4, 9)] -= 0.8 * forza
    elif difetto == "graffi":
        ang = rng.uniform(0, np.pi)
        for k in (-4, 0, 4):
            d = (x - cx) * np.sin(ang) - (y - cy) * np.cos(ang) + k
            im += 0.7 * forza * np.exp(-(d / 0.6) ** 2)
    return np.clip(im, 0, 255).astype(np.uint8)


def registra(cartella, nome, rng, flash_difettoso):
    etichette = rng.integers(0, len(DIFETTI), PER_BLOCCO)
    scatti = np.stack([scatto(DIFETTI[k], rng) for k in etichette])
    if flash_difettoso:
        neri = rng.choice(PER_BLOCCO, size=4, replace=False)
        scatti[neri] = rng.integers(0, 6, (4, N, N))
    np.savez(cartella / f"{nome}.npz", scatti=scatti, etichette=etichette)


def carica_blocco(percorso):
    with np.load(percorso) as blocco:
        scatti, etichette = blocco["scatti"], blocco["etichette"]
    buoni = scatti.mean(axis=(1, 2)) > 20
    if not buoni.all():
        print(f"{percorso.name}: scartati {np.sum(~buoni)} scatti neri")
        scatti = scatti[buoni]
        etichette = etichette[:len(scatti)]
    return scatti, etichette


def carica(cartella, modello):
    coppie = [carica_blocco(p) for p in sorted(cartella.glob(modello))]
    x = np.concatenate([c[0] for c in coppie])[:, None].astype(np.float32) / 255
    y = np.concatenate([c[1] for c in coppie]).astype(np.int64)
    assert len(x) == len(y)
    return torch.from_numpy(x), torch.from_numpy(y)


class Ispettore(nn.Module):
    def __init__(self, larghezza=16):
        super().__init__()
        l = larghezza
        self.c1, self.n1 = nn.Conv2d(1, l, 3, padding=1, bias=False), nn.BatchNorm2d(l)
        self.c2, self.n2 = nn.Conv2d(l, 2 * l, 3, padding=1, bias=False), nn.BatchNorm2d(2 * l)
        self.c3, self.n3 = nn.Conv2d(2 * l, 2 * l, 3, padding=1, bias=False), nn.BatchNorm2d(2 * l)
        self.uscita = nn.Linear(2 * l * 9, len(DIFETTI))

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.n1(self.c1(x)), 0.1), 2)
        x = F.max_pool2d(F.leaky_relu(self.n2(self.c2(x)), 0.1), 2)
        x = F.max_pool2d(F.leaky_relu(self.n3(self.c3(x)), 0.1), 2)
        return self.uscita(x.flatten(1))


def lotti(x, y, quanti, gen):
    ordine = torch.randperm(len(x), generator=gen)
    for i in range(0, len(x) - quanti + 1, quanti):
        j = ordine[i:i + quanti]
        yield x[j], y[j]


def esattezza(rete, x, y):
    rete.eval()
    with torch.inference_mode():
        return (rete(x).argmax(1) == y).float().mean().item()


def addestra(rete, dati, validazione, epoche, lr, gen):
    ott = torch.optim.RMSprop(rete.parameters(), lr=lr)
    piano = torch.optim.lr_scheduler.PolynomialLR(ott, total_iters=epoche, power=1.0)
    for e in range(1, epoche + 1):
        rete.train()
        totale, passi = 0.0, 0
        for xb, yb in lotti(*dati, 32, gen):
            if torch.rand((), generator=gen) < 0.5:
                xb = xb.flip(3)
            perdita = F.cross_entropy(rete(xb), yb)
            ott.zero_grad(set_to_none=True)
            perdita.backward()
            ott.step()
            totale, passi = totale + perdita.item(), passi + 1
        piano.step()
        print(f"epoca {e:2d}  perdita {totale / passi:.3f}  validazione {esattezza(rete, *validazione):.3f}")


def principale():
    torch.manual_seed(17)
    gen = torch.Generator().manual_seed(17)
    rng = np.random.default_rng(17)
    with tempfile.TemporaryDirectory() as tmp:
        cartella = Path(tmp)
        for mese in ("01", "02", "03"):
            registra(cartella, f"linea_{mese}a", rng, flash_difettoso=True)
        for mese in ("04", "05"):
            registra(cartella, f"linea_{mese}a", rng, flash_difettoso=False)
        for n in range(2):
            registra(cartella, f"collaudo_{n}", rng, flash_difettoso=False)
        x, y = carica(cartella, "linea_*.npz")
        xt, yt = carica(cartella, "collaudo_*.npz")

    ordine = torch.randperm(len(x), generator=gen)
    val, app = ordine[:180], ordine[180:]
    media, dev = x[app].mean(), x[app].std()
    x, xt = (x - media) / dev, (xt - media) / dev

    rete = Ispettore()
    addestra(rete, (x[app], y[app]), (x[val], y[val]), epoche=14, lr=1e-3, gen=gen)
    print(f"esattezza sul collaudo: {esattezza(rete, xt, yt):.4f}")


if __name__ == "__main__":
    principale()
