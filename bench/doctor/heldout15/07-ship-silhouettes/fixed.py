"""Reconnaissance de silhouettes de navires à l'horizon.

Deux optimiseurs : SGD avec élan pour les noyaux de convolution, Adam pour tout
le reste (normalisations, biais, dernière couche).
"""
import argparse
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NAVIRES = ["cargo", "porte-conteneurs", "voilier", "remorqueur", "paquebot", "pétrolier"]
LARGEUR, HAUTEUR = 40, 24


def silhouette(nom):
    k = 3
    ciel = random.randint(120, 230)
    im = Image.new("L", (LARGEUR * k, HAUTEUR * k), ciel)
    d = ImageDraw.Draw(im)
    mer = HAUTEUR * k * random.uniform(.68, .8)
    d.rectangle([0, mer, LARGEUR * k, HAUTEUR * k], fill=int(ciel * random.uniform(.5, .8)))
    encre = random.randint(10, 90)
    sens = random.choice([-1, 1])
    x0 = LARGEUR * k / 2 + random.uniform(-12, 12)
    t = random.uniform(.75, 1.1)
    longueur = {"voilier": 30, "remorqueur": 34}.get(nom, 84) * t

    def bloc(a, b, haut, bas=0.0):
        gauche, droite = sorted((x0 + sens * a * longueur, x0 + sens * b * longueur))
        d.rectangle([gauche, mer - haut * t, droite, mer - bas * t], fill=encre)

    d.polygon([(x0 - longueur / 2, mer - 9 * t), (x0 + longueur / 2, mer - 9 * t),
               (x0 + longueur * .42, mer + 2), (x0 - longueur * .42, mer + 2)], fill=encre)
    if nom == "cargo":
        bloc(-.46, -.28, 24)
        for a in (-.12, .1, .32):
            bloc(a, a + .02, random.uniform(20, 26))
    elif nom == "porte-conteneurs":
        bloc(-.40, -.30, 27)
        for a in np.arange(-.27, .42, .1):
            bloc(a, a + .09, random.choice([16, 19, 22]))
    elif nom == "voilier":
        haut = random.uniform(38, 46) * t
        d.polygon([(x0, mer - haut), (x0, mer - 10), (x0 + sens * 17 * t, mer - 10)], fill=encre)
        d.polygon([(x0 - sens * 2, mer - haut * .9), (x0 - sens * 2, mer - 10), (x0 - sens * 11 * t, mer - 10)], fill=encre)
    elif nom == "remorqueur":
        bloc(-.1, .3, 21)
        bloc(-.22, -.08, random.uniform(22, 27))
    elif nom == "paquebot":
        bloc(-.42, .36, 16)
        bloc(-.36, .28, 21)
        bloc(-.2, -.08, 28)
    else:
        bloc(-.46, -.32, random.uniform(20, 24))
        bloc(-.3, .4, 11)
    x = np.asarray(im.resize((LARGEUR, HAUTEUR), Image.BOX), np.float32) / 255
    return x + np.random.normal(0, .1, x.shape)


def tirage(n):
    y = np.random.randint(0, len(NAVIRES), n)
    x = np.stack([silhouette(NAVIRES[c]) for c in y])[:, None]
    return torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)


def reseau(classes, c=16):
    def etage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*etage(1, c), *etage(c, 2 * c), *etage(2 * c, 3 * c), nn.Flatten(),
                         nn.Linear(3 * c * (LARGEUR // 8) * (HAUTEUR // 8), classes))


def deux_optimiseurs(modele, lr_noyaux, lr_reste):
    noyaux = [m.weight for m in modele.modules() if isinstance(m, nn.Conv2d)]
    deja = {id(p) for p in noyaux}
    reste = [p for p in modele.parameters() if id(p) not in deja]
    return torch.optim.SGD(noyaux, lr=lr_noyaux, momentum=0.9), torch.optim.Adam(reste, lr=lr_reste)


def une_epoque(modele, donnees, critere, noyaux, reste):
    modele.train()
    total = 0.
    for x, y in donnees:
        perte = critere(modele(x), y)
        noyaux.zero_grad()
        reste.zero_grad()
        perte.backward()
        noyaux.step()
        reste.step()
        total += perte.item() * len(y)
    return total / len(donnees.dataset)


def taux(modele, donnees):
    modele.eval()
    with torch.no_grad():
        bons = sum((modele(x).argmax(1) == y).sum().item() for x, y in donnees)
    return bons / len(donnees.dataset)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epoques", type=int, default=6)
    ap.add_argument("--lot", type=int, default=32)
    ap.add_argument("--lr-noyaux", type=float, default=0.02)
    ap.add_argument("--lr-reste", type=float, default=0.001)
    ap.add_argument("--graine", type=int, default=17)
    args = ap.parse_args()

    torch.set_num_threads(1)
    random.seed(args.graine)
    np.random.seed(args.graine)
    torch.manual_seed(args.graine)

    (xa, ya), (xv, yv), (xt, yt) = tirage(1280), tirage(256), tirage(480)
    moyenne, ecart = xa.mean(), xa.std()
    app = DataLoader(TensorDataset((xa - moyenne) / ecart, ya), args.lot, shuffle=True)
    val = DataLoader(TensorDataset((xv - moyenne) / ecart, yv), 128)
    essai = DataLoader(TensorDataset((xt - moyenne) / ecart, yt), 120)

    modele = reseau(len(NAVIRES))
    noyaux, reste = deux_optimiseurs(modele, args.lr_noyaux, args.lr_reste)
    critere = nn.CrossEntropyLoss()
    for e in range(args.epoques):
        perte = une_epoque(modele, app, critere, noyaux, reste)
        print(f"époque {e + 1:2d}  perte {perte:.3f}  validation {taux(modele, val):.3f}")
    print(f"taux de reconnaissance (essai) : {taux(modele, essai):.4f}")


if __name__ == "__main__":
    main()
