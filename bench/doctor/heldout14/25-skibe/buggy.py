"""Skibstyper i silhuet mod horisonten. Opvarmning og cosinus-nedtrapning af indlæringsraten, skridt for skridt."""
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

SKIBE = ["sejlskib", "tanker", "faerge", "kutter", "slaebebaad"]


class Opsaetning(NamedTuple):
    antal_traening: int = 1250
    antal_kontrol: int = 250
    antal_proeve: int = 500
    parti: int = 50
    epoker: int = 10
    rate: float = 4e-3
    opvarmning: int = 25
    froe: int = 42


def tegn(slags, tilfaeldig):
    b, h = 80, 56
    himmel = int(tilfaeldig.integers(130, 230))
    billede = Image.new("L", (b, h), himmel)
    t = ImageDraw.Draw(billede)
    hav = int(tilfaeldig.integers(33, 41))
    t.rectangle([0, hav, b, h], fill=himmel - int(tilfaeldig.integers(25, 60)))
    k = tilfaeldig.uniform(0.75, 1.1) * tilfaeldig.choice([-1, 1])  # størrelse og sejlretning
    x0 = b / 2 + tilfaeldig.uniform(-8, 8)
    farve = int(tilfaeldig.integers(20, 90))

    def flade(*punkter):
        t.polygon([(x0 + k * px, hav + 2 - abs(k) * py) for px, py in punkter], fill=farve)

    if slags == "sejlskib":
        flade((-14, 0), (-17, 5), (17, 5), (13, 0))
        flade((-1, 5), (-1, 32), (13, 8))
        flade((-3, 5), (-3, 27), (-14, 8))
    elif slags == "tanker":
        flade((-30, 0), (-31, 7), (31, 7), (28, 0))
        flade((-28, 7), (-28, 16), (-20, 16), (-20, 7))
    elif slags == "faerge":
        flade((-27, 0), (-28, 8), (28, 8), (25, 0))
        flade((-25, 8), (-23, 17), (20, 17), (23, 8))
        flade((-10, 17), (-10, 23), (-4, 23), (-4, 17))
    elif slags == "kutter":
        flade((-16, 0), (-17, 6), (18, 9), (14, 0))
        flade((2, 6), (2, 14), (9, 14), (9, 6))
        flade((-8, 6), (-8, 26), (-6, 26), (-6, 6))
    else:
        flade((-14, 0), (-15, 6), (16, 9), (13, 0))
        flade((0, 6), (0, 18), (9, 18), (9, 6))
        flade((-6, 6), (-6, 13), (-2, 13), (-2, 6))
    billede = billede.filter(ImageFilter.GaussianBlur(tilfaeldig.uniform(0.3, 1.6))).resize((40, 28), Image.BILINEAR)
    return np.asarray(billede, np.float32) / 255 + tilfaeldig.normal(0, 0.09, (28, 40)).astype(np.float32)


def lav_saet(antal, froe):
    tilfaeldig = np.random.default_rng(froe)
    maal = tilfaeldig.permutation(np.arange(antal) % len(SKIBE))
    x = np.stack([tegn(SKIBE[m], tilfaeldig) for m in maal]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(maal)


class Net(nn.Module):
    def __init__(self, klasser):
        super().__init__()
        self.stamme = nn.Sequential(nn.Conv2d(1, 12, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.gren1 = nn.Sequential(nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.gren2 = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.pulje = nn.MaxPool2d(2)
        self.ud = nn.Linear(32 * 3 * 5, klasser)

    def forward(self, x):
        x = self.pulje(self.gren1(self.stamme(x)))
        x = self.pulje(self.gren2(x))
        return self.ud(x.flatten(1))


def forloeb(skridt, opvarmning, i_alt):
    """Andel af den højeste rate: lineær opvarmning, derefter en halv cosinus ned mod nul."""
    if skridt < opvarmning:
        return (skridt + 1) / opvarmning
    fremme = (skridt - opvarmning) / (i_alt - opvarmning)
    return 0.5 * (1 + math.cos(math.pi * fremme))


@torch.no_grad()
def vurder(net, x, y):
    net.eval()
    svar = torch.cat([net(del_) for del_ in x.split(250)])
    return F.cross_entropy(svar, y).item(), (svar.argmax(1) == y).float().mean().item()


def koer(op: Opsaetning):
    torch.manual_seed(op.froe)
    x, y = lav_saet(op.antal_traening, 1)
    kontrol, proeve = lav_saet(op.antal_kontrol, 2), lav_saet(op.antal_proeve, 3)
    snit, spredning = x.mean(), x.std()

    def skaler(v):
        return (v - snit) / spredning

    net = Net(len(SKIBE))
    opt = torch.optim.Adam(net.parameters(), lr=op.rate, betas=(0.9, 0.99))
    i_alt = op.epoker * math.ceil(len(x) / op.parti)
    plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: op.rate * forloeb(s, op.opvarmning, i_alt))

    for epoke in range(op.epoker):
        net.train()
        for del_ in torch.randperm(len(x)).split(op.parti):
            opt.zero_grad()
            tab = F.cross_entropy(net(skaler(x[del_])), y[del_])
            tab.backward()
            opt.step()
            plan.step()
        tab_k, rigtige = vurder(net, skaler(kontrol[0]), kontrol[1])
        print(f"epoke {epoke + 1:2d} | sidste tab {tab.item():.3f} | kontrol tab {tab_k:.3f}, rigtige {rigtige:.3f}")

    _, rigtige = vurder(net, skaler(proeve[0]), proeve[1])
    print(f"andel rigtige i prøven: {rigtige:.4f}")


if __name__ == "__main__":
    koer(Opsaetning())
