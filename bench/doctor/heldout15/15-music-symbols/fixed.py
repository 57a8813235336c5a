"""Riconoscimento di simboli musicali (note e pause) ritagliati da spartiti scansionati.

Le prime epoche usano le immagini così come sono; poi si aggiunge il mixup.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter

SIMBOLI = ["semibreve", "minima", "semiminima", "croma", "pausa", "diesis", "bemolle"]
ALTEZZA, LARGHEZZA = 32, 22

IMPOSTAZIONI = dict(
    seme=29,
    esempi=(1400, 280, 490),        # addestramento, validazione, prova
    epoche=8,
    inizio_mixup=3,
    alfa=0.3,
    lotto=40,
    passo=2e-3,
)


def disegna(nome, caso):
    k = 4
    im = Image.new("L", (LARGHEZZA * k, ALTEZZA * k), 255)
    d = ImageDraw.Draw(im)
    s = caso.uniform(4.6, 6.0) * k                    # distanza fra due righe del pentagramma
    prima = caso.uniform(-1, 1) * s
    for i in range(-1, 7):
        y = prima + i * s
        d.line([0, y, LARGHEZZA * k, y], fill=int(caso.integers(60, 140)), width=2)
    x = LARGHEZZA * k / 2 + caso.uniform(-8, 8)
    y = ALTEZZA * k / 2 + caso.uniform(-8, 8)
    nero = int(caso.integers(0, 60))
    if nome in ("semibreve", "minima", "semiminima", "croma"):
        giu = caso.random() < .5 and nome != "semibreve"
        y += 0 if nome == "semibreve" else (-1.3 * s if giu else 1.3 * s)
        d.ellipse([x - .65 * s, y - .48 * s, x + .65 * s, y + .48 * s], fill=nero)
        if nome in ("semibreve", "minima"):
            d.ellipse([x - .38 * s, y - .27 * s, x + .38 * s, y + .27 * s], fill=250)
        if nome != "semibreve":
            verso = 1 if giu else -1
            gx, fine = x - verso * .6 * s, y + verso * caso.uniform(2.8, 3.3) * s
            d.line([gx, y, gx, fine], fill=nero, width=4)
            if nome == "croma":
                d.line([gx, fine, gx + .8 * s, fine - verso * 1.0 * s, gx + .7 * s, fine - verso * 1.7 * s], fill=nero, width=6)
    elif nome == "pausa":
        d.line([x - .3 * s, y - 1.3 * s, x + .3 * s, y - .5 * s, x - .3 * s, y, x + .35 * s, y + .8 * s], fill=nero, width=7)
        d.arc([x - .4 * s, y + .5 * s, x + .4 * s, y + 1.4 * s], 90, 270, fill=nero, width=5)
    elif nome == "diesis":
        for j in (-.28, .28):
            d.line([x + j * s, y - 1.2 * s, x + j * s, y + 1.2 * s], fill=nero, width=4)
            d.line([x - .6 * s, y + j * 1.4 * s + .15 * s, x + .6 * s, y + j * 1.4 * s - .15 * s], fill=nero, width=7)
    else:
        d.line([x - .4 * s, y - 1.7 * s, x - .4 * s, y + .7 * s], fill=nero, width=4)
        d.ellipse([x - .4 * s, y - .3 * s, x + .35 * s, y + .65 * s], outline=nero, width=5)
    im = im.rotate(caso.normal(0, 3), Image.BILINEAR, fillcolor=255).filter(ImageFilter.GaussianBlur(caso.uniform(1, 4)))
    grigi = np.asarray(im.resize((LARGHEZZA, ALTEZZA), Image.BOX), dtype=np.float32) / 255
    return grigi * caso.uniform(.6, 1) + caso.normal(0, .16, grigi.shape).astype(np.float32)


def raccolta(n, caso):
    etichette = caso.permutation(np.arange(n) % len(SIMBOLI))
    immagini = np.stack([disegna(SIMBOLI[e], caso) for e in etichette]).astype(np.float32)
    return torch.from_numpy(immagini).unsqueeze(1), torch.from_numpy(etichette)


class Mixup:
    """Un peso per ogni immagine, estratto da una distribuzione Beta(alfa, alfa)."""

    def __init__(self, alfa, seme):
        self.alfa, self.caso = alfa, np.random.default_rng(seme)

    def __call__(self, x, y):
        peso = torch.from_numpy(self.caso.beta(self.alfa, self.alfa, len(x))).float()
        altri = torch.randperm(len(x))
        w = peso.view(-1, 1, 1, 1)
        return w * x + (1 - w) * x[altri], y, y[altri], peso


class ReteNote(nn.Module):
    def __init__(self, classi):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.n3 = nn.BatchNorm2d(48)
        self.uscita = nn.Linear(48 * 4 * 2, classi)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        x = F.max_pool2d(F.relu(self.n3(self.c3(x))), 2)
        return self.uscita(x.flatten(1))


def esattezza(rete, x, y):
    rete.eval()
    with torch.no_grad():
        giuste = sum((rete(a).argmax(1) == b).sum().item() for a, b in zip(x.split(140), y.split(140)))
    return giuste / len(y)


def addestra(rete, x, y, xv, yv, imp):
    mixup = Mixup(imp["alfa"], imp["seme"])
    ottimizzatore = torch.optim.Adam(rete.parameters(), lr=imp["passo"])
    piano = torch.optim.lr_scheduler.CosineAnnealingLR(ottimizzatore, imp["epoche"])
    for epoca in range(imp["epoche"]):
        rete.train()
        somma = 0.0
        for indici in torch.randperm(len(x)).split(imp["lotto"]):
            xb, ya = x[indici], y[indici]
            if epoca < imp["inizio_mixup"]:
                perdita = F.cross_entropy(rete(xb), ya)
            else:
                xb, ya, yb, peso = mixup(xb, ya)
                uscite = rete(xb)
                perdita = (peso * F.cross_entropy(uscite, ya, reduction="none")
                           + (1 - peso) * F.cross_entropy(uscite, yb, reduction="none")).mean()
            ottimizzatore.zero_grad()
            perdita.backward()
            ottimizzatore.step()
            somma += perdita.item() * len(indici)
        piano.step()
        print(f"epoca {epoca + 1}: perdita {somma / len(x):.3f}, validazione {esattezza(rete, xv, yv):.3f}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(IMPOSTAZIONI["seme"])
    caso = np.random.default_rng(IMPOSTAZIONI["seme"])
    (x, y), (xv, yv), (xp, yp) = (raccolta(n, caso) for n in IMPOSTAZIONI["esempi"])
    media, scarto = x.mean(), x.std()
    x, xv, xp = (x - media) / scarto, (xv - media) / scarto, (xp - media) / scarto
    rete = ReteNote(len(SIMBOLI))
    addestra(rete, x, y, xv, yv, IMPOSTAZIONI)
    print(f"esattezza sulla prova: {esattezza(rete, xp, yp):.4f}")
