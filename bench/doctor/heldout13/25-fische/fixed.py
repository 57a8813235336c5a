"""Fischarten an der Fischtreppe: Umrissbilder der Zählkamera, SGD mit Anlauf und Kosinusabfall."""
import math
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

ARTEN = ["Aal", "Barsch", "Brachse", "Hecht", "Forelle", "Wels"]
P = SimpleNamespace(breite=36, hoehe=24, epochen=9, anlauf=1, stapel=32, lernrate=0.04, schwung=0.9, zerfall=5e-4, saat=8)


def umriss(art, z):
    """Obere und untere Kontur (t von 0 = Maul bis 1 = Schwanz), dazu Flossen."""
    t = np.linspace(0, 1, 24)
    dick = {0: .07, 1: .17, 2: .26, 3: .10, 4: .15, 5: .15}[art] * z.uniform(.85, 1.15)
    spitze = {0: .35, 1: .6, 2: .75, 3: .5, 4: .65, 5: .3}[art]
    koerper = dick * t ** (spitze * .8) * (1 - t) ** spitze * 2 ** (1.8 * spitze) + .015
    biegung = z.uniform(-.06, .06) * np.sin(math.pi * t) + (.07 * np.sin(2.5 * math.pi * t + z.uniform(0, 6)) if art == 0 else 0)
    formen = [list(zip(t, biegung - koerper)) + list(zip(t[::-1], (biegung + koerper)[::-1]))]
    if art != 0 and art != 5:
        s = .13 * z.uniform(.8, 1.2)
        formen.append([(.95, biegung[-1]), (1.1, biegung[-1] - s), (1.05, biegung[-1]), (1.1, biegung[-1] + s)])
    rueck = {1: [(.3, .12), (.55, .12)], 2: [(.45, .13)], 3: [(.78, .11)], 4: [(.45, .1), (.8, .05)], 5: [(.3, .06)]}.get(art, [])
    for ort, h in rueck:
        b, k = np.interp(ort, t, biegung), np.interp(ort, t, koerper)
        formen.append([(ort, b - k), (ort + .04, b - k - h), (ort + .17, b - .6 * k)])
    return formen


def aufnahme(art, z):
    b, h, f = P.breite, P.hoehe, 3
    wasser = int(z.integers(110, 190))
    bild = Image.new("L", (f * b, f * h), wasser)
    stift = ImageDraw.Draw(bild)
    laenge = f * b * z.uniform(.62, .8)
    x0, y0 = f * b / 2 + z.uniform(-9, 9), f * h / 2 + z.uniform(-8, 8)
    w, seite = z.uniform(-.2, .2), z.choice([-1, 1])
    ton = wasser - int(z.integers(35, 75))
    for form in umriss(art, z):
        p = [((x - .5) * laenge, y * laenge) for x, y in form]
        stift.polygon([(x0 + seite * (x * math.cos(w) - y * math.sin(w)), y0 + x * math.sin(w) + y * math.cos(w))
                       for x, y in p], fill=ton)
    for _ in range(z.integers(0, 5)):                                   # Luftblasen
        x, y, r = z.uniform(0, f * b), z.uniform(0, f * h), z.uniform(2, 5)
        stift.ellipse([x - r, y - r, x + r, y + r], fill=wasser + 45)
    bild = bild.filter(ImageFilter.GaussianBlur(z.uniform(.8, 2.2))).resize((b, h), Image.BOX)
    return np.asarray(bild, dtype=np.float32) + z.normal(0, 8, (h, b)).astype(np.float32)


def menge(n, z):
    art = z.integers(len(ARTEN), size=n)
    return torch.from_numpy(np.stack([aufnahme(a, z) for a in art])).unsqueeze(1), torch.from_numpy(art)


def netz():
    def stufe(ein, aus):
        return nn.Sequential(nn.Conv2d(ein, aus, 3, padding=1, bias=False), nn.BatchNorm2d(aus), nn.ReLU(inplace=True),
                             nn.MaxPool2d(2))
    return nn.Sequential(stufe(1, 16), stufe(16, 32), stufe(32, 48), nn.Flatten(),
                         nn.Linear(48 * (P.hoehe // 8) * (P.breite // 8), len(ARTEN)))


def plan(schritte_je_epoche):
    """Linearer Anlauf auf den vollen Wert, danach Kosinus bis null."""
    anlauf, ende = P.anlauf * schritte_je_epoche, P.epochen * schritte_je_epoche

    def faktor(schritt):
        if schritt < anlauf:
            return (schritt + 1) / anlauf
        rest = (schritt - anlauf) / max(1, ende - anlauf)
        return 0.5 * (1 + math.cos(math.pi * min(rest, 1.)))
    return faktor


@torch.no_grad()
def trefferquote(modell, lader):
    modell.eval()
    return sum((modell(x).argmax(1) == y).sum().item() for x, y in lader) / len(lader.dataset)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(P.saat)
    zufall = np.random.default_rng(P.saat)
    (xl, yl), (xv, yv), (xp, yp) = menge(1400, zufall), menge(300, zufall), menge(500, zufall)
    m, s = xl.mean(), xl.std()
    lernen = DataLoader(TensorDataset((xl - m) / s, yl), P.stapel, shuffle=True, drop_last=True)
    pruefen = DataLoader(TensorDataset((xv - m) / s, yv), 100)
    zuletzt = DataLoader(TensorDataset((xp - m) / s, yp), 100)

    modell, verlust = netz(), nn.CrossEntropyLoss(label_smoothing=0.05)
    opt = torch.optim.SGD(modell.parameters(), lr=P.lernrate, momentum=P.schwung, weight_decay=P.zerfall, nesterov=True)
    regler = LambdaLR(opt, plan(len(lernen)))
    for epoche in range(1, P.epochen + 1):
        modell.train()
        summe = 0.0
        for x, y in lernen:
            if torch.rand(1).item() < 0.5:
                x = x.flip(3)
            opt.zero_grad(set_to_none=True)
            v = verlust(modell(x), y)
            v.backward()
            opt.step()
            regler.step()
            summe += v.item()
        print(f"Epoche {epoche}: Verlust {summe / len(lernen):.3f}, Prüfung {trefferquote(modell, pruefen):.3f}")
    print(f"Trefferquote am Ende (Testbilder): {trefferquote(modell, zuletzt):.4f}")
