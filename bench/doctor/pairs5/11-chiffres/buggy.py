"""Lecture de chiffres d'afficheurs (7 segments, photo de biais).

Le réseau est décrit par une liste, à la manière des fichiers .yaml de détecteurs :
une ligne par couche  [répétitions, type, arguments].
"""
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim

ARCHITECTURE = [
    [1, "ConvNorm", dict(sortie=16, k=3, pas=1)],
    [1, "ConvNorm", dict(sortie=24, k=3, pas=2)],
    [1, "Residu", dict()],
    [1, "ConvNorm", dict(sortie=40, k=3, pas=2)],
    [1, "Residu", dict()],
    [1, "ConvNorm", dict(sortie=64, k=3, pas=2)],
    [1, "Tete", dict(classes=10)],
]
OPTIONS = {"act": nn.LeakyReLU, "epoques": 8, "lot": 32, "pas": 3e-3, "graine": 21}

#          haut  h-g  h-d  milieu b-g  b-d  bas
SEGMENTS = {0: "1110111", 1: "0010010", 2: "1011101", 3: "1011011", 4: "0111010",
            5: "1101011", 6: "1101111", 7: "1010010", 8: "1111111", 9: "1111011"}
TRAITS = [((0, 0), (1, 0)), ((0, 0), (0, 1)), ((1, 0), (1, 1)), ((0, 1), (1, 1)), ((0, 1), (0, 2)), ((1, 1), (1, 2)), ((0, 2), (1, 2))]


# ----------------------------------------------------------------------------- couches
def act_de(act):
    """act=True : activation par défaut ; un module : ce module ; sinon rien."""
    if act is True:
        return nn.SiLU()
    return act if isinstance(act, nn.Module) else nn.Identity()


class ConvNorm(nn.Module):
    def __init__(self, entree, sortie, k=1, pas=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(entree, sortie, k, pas, k // 2, bias=False)
        self.norm = nn.BatchNorm2d(sortie)
        self.act = act_de(act)
        self.sortie = sortie

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class Residu(nn.Module):
    def __init__(self, entree, act=True):
        super().__init__()
        self.a = ConvNorm(entree, entree // 2, 1, act=act)
        self.b = ConvNorm(entree // 2, entree, 3, act=act)
        self.sortie = entree

    def forward(self, x):
        return x + self.b(self.a(x))


class Tete(nn.Module):
    def __init__(self, entree, classes, act=True):
        super().__init__()
        self.cache = ConvNorm(entree, 64, 1, act=act)
        self.fin = nn.Linear(64, classes)
        self.sortie = classes

    def forward(self, x):
        return self.fin(self.cache(x).mean((2, 3)))


def construire(architecture, canaux, act):
    couches = []
    for n, nom, args in architecture:
        for _ in range(n):
            couches.append(globals()[nom](canaux, act=act, **args))
            canaux = couches[-1].sortie
    return nn.Sequential(*couches)


# ----------------------------------------------------------------------------- données
def dessiner(chiffre, hasard):
    cote = 24
    im = Image.new("L", (cote * 2, cote * 2), int(hasard.integers(20, 90)))
    d = ImageDraw.Draw(im)
    larg, haut = hasard.uniform(12, 17), hasard.uniform(13, 17)
    x0, y0 = hasard.uniform(5, 42 - larg), hasard.uniform(5, 43 - 2 * haut)
    biais, clair = hasard.normal(0, 0.10), int(hasard.integers(130, 220))
    for allume, (p, q) in zip(SEGMENTS[chiffre], TRAITS):
        if allume == "1":
            pts = [(x0 + larg * u + biais * (haut - haut * v), y0 + haut * v) for u, v in (p, q)]
            d.line(pts, fill=clair, width=int(hasard.integers(3, 6)))
    a = np.asarray(im.resize((cote, cote), Image.BOX), np.float32) / 255
    reflet = hasard.uniform(0, 0.25) * np.linspace(0, 1, cote, dtype=np.float32)[:, None]
    return np.clip(a + reflet + hasard.normal(0, 0.13, a.shape), 0, 1)


def jeu(n, hasard):
    y = hasard.permutation(np.arange(n) % 10)
    x = np.stack([dessiner(int(c), hasard) for c in y]).astype(np.float32)
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


# ----------------------------------------------------------------------------- entraînement
def justesse(modele, x, y):
    modele.eval()
    with torch.no_grad():
        return (torch.cat([modele(l) for l in x.split(200)]).argmax(1) == y).float().mean().item()


def entrainer(opts):
    torch.manual_seed(opts["graine"])
    hasard = np.random.default_rng(opts["graine"])
    (xa, ya), (xv, yv), (xt, yt) = jeu(1600, hasard), jeu(300, hasard), jeu(500, hasard)
    moy, ecart = xa.mean(), xa.std()
    xa, xv, xt = ((t - moy) / ecart for t in (xa, xv, xt))

    modele = construire(ARCHITECTURE, 1, opts["act"])
    opt = optim.Adam(modele.parameters(), lr=opts["pas"])
    pas_total = opts["epoques"] * (len(xa) // opts["lot"])
    sched = optim.lr_scheduler.CosineAnnealingLR(opt, pas_total)
    perte = nn.CrossEntropyLoss(label_smoothing=0.05)
    for e in range(opts["epoques"]):
        modele.train()
        somme = 0.0
        for idx in torch.randperm(len(xa)).split(opts["lot"]):
            opt.zero_grad()
            l = perte(modele(xa[idx]), ya[idx])
            l.backward()
            opt.step()
            sched.step()
            somme += l.item() * len(idx)
        print(f"époque {e + 1} : perte {somme / len(xa):.4f}, validation {justesse(modele, xv, yv):.3f}")
    return justesse(modele, xt, yt)


if __name__ == "__main__":
    print(f"justesse sur le test : {entrainer(OPTIONS):.4f}")
