"""Snökristaller under mikroskop: en mot alla, med ett litet eget lagerbibliotek."""
import math

import numpy as np
import torch
from torch import nn

# ---------------------------------------------------------------- lager
REGISTER = {}


def lager(namn):
    def dekorator(f):
        REGISTER[namn] = f
        return f
    return dekorator


@lager("falt")
def _falt(c_in, c_ut, k=3):
    return [nn.Conv2d(c_in, c_ut, k, padding=k // 2), nn.ReLU()], c_ut


@lager("halvera")
def _halvera(c_in):
    return [nn.MaxPool2d(2)], c_in


@lager("platta_ut")
def _platta_ut(c_in, sida):
    return [nn.Flatten()], c_in * sida * sida


@lager("tat")
def _tat(c_in, c_ut):
    return [nn.Linear(c_in, c_ut), nn.ReLU()], c_ut


@lager("ut")
def _ut(c_in, klasser):
    return [nn.Linear(c_in, klasser)], klasser


def bygg(ritning, kanaler, andel):
    """Bygger nätet ur en lista; `andel` är den väntade andelen positiva per klass (för en mot alla)."""
    moduler = []
    for namn, *arg in ritning:
        nya, kanaler = REGISTER[namn](kanaler, *arg)
        moduler += nya
    nat = nn.Sequential(*moduler)
    for m in nat.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.constant_(m.bias, -math.log((1 - andel) / andel))
    nn.init.normal_(nat[-1].weight, std=0.01)
    return nat


# ---------------------------------------------------------------- bilder
KRISTALLER = ["platta", "stjarna", "nal", "pelare", "dendrit"]


def kristall(sort, slump, n=28):
    y, x = np.mgrid[:n, :n].astype(float)
    cy, cx = n / 2 + slump.uniform(-3, 3, 2)
    v0 = slump.uniform(0, 2 * np.pi)
    r, v = np.hypot(y - cy, x - cx), np.arctan2(y - cy, x - cx) + v0
    u, w = r * np.cos(v), r * np.sin(v)
    s = slump.uniform(7, 10)
    if sort == "platta":
        kant = s * np.cos(np.pi / 6) / np.cos((v % (np.pi / 3)) - np.pi / 6)
        form = (r < kant) * (0.45 + 0.3 * (r > kant - 1.8))
    elif sort == "stjarna":
        form = np.clip(1 - np.abs(np.sin(3 * v)) * r / 1.6, 0, 1) * (r < s)
    elif sort == "dendrit":
        arm = np.clip(1 - np.abs(np.sin(3 * v)) * r / 1.6, 0, 1)
        form = np.maximum(arm, (np.cos(6 * v) > 0.0) * (np.sin(r * 1.8) > 0.3)) * (r < s)
    elif sort == "nal":
        form = (np.abs(u) < s) & (np.abs(w) < 1.0)
    else:
        form = ((np.abs(u) < 0.75 * s) & (np.abs(w) < 0.42 * s)) * (0.5 + 0.3 * (np.abs(u) > 0.55 * s))
    bild = slump.uniform(0.1, 0.3) + slump.uniform(0.35, 0.7) * form + slump.normal(0, 0.13, (n, n))
    return bild.astype(np.float32)


def samla(antal, fro):
    slump = np.random.default_rng(fro)
    y = slump.permutation(np.arange(antal) % len(KRISTALLER))
    x = np.stack([kristall(KRISTALLER[k], slump) for k in y])[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


# ---------------------------------------------------------------- träning
def traffsakerhet(nat, x, y):
    nat.eval()
    with torch.no_grad():
        return (nat(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(23)
    x, y = samla(1200, 1)
    xv, yv = samla(250, 2)
    xt, yt = samla(500, 3)
    m, s = x.mean(), x.std()
    x, xv, xt = ((d - m) / s for d in (x, xv, xt))

    klasser = len(KRISTALLER)
    ritning = [
        ("falt", 12), ("halvera",),
        ("falt", 24), ("halvera",),
        ("falt", 32),
        ("platta_ut", 7), ("tat", 64), ("ut", klasser),
    ]
    nat = bygg(ritning, kanaler=1, andel=1 / klasser)
    forlust = nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(nat.parameters(), lr=0.05, momentum=0.9)
    epoker = 12
    schema = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epoker)

    for epok in range(1, epoker + 1):
        nat.train()
        summa = 0.0
        delar = torch.randperm(len(x)).split(40)
        for d in delar:
            mal = nn.functional.one_hot(y[d], klasser).float()
            opt.zero_grad()
            f = forlust(nat(x[d]), mal)
            f.backward()
            opt.step()
            summa += f.item()
        schema.step()
        print(f"epok {epok:2d}  förlust {summa / len(delar):.4f}  validering {traffsakerhet(nat, xv, yv):.3f}")
    print(f"träffsäkerhet på testbilderna: {traffsakerhet(nat, xt, yt):.4f}")


if __name__ == "__main__":
    main()
