"""Kevers herkennen met een klein netwerk van omgekeerde residublokken (MobileNetV2-stijl)."""
import time

import numpy as np
import torch
import torch.nn as nn

SOORTEN = ["lieveheersbeestje", "loopkever", "boktor", "snuitkever", "neushoornkever", "bladhaantje"]
MAAT = 32


# ---------------------------------------------------------------- beelden
def kever(soort, rng):
    y, x = np.mgrid[:MAAT, :MAAT].astype(float)
    cx, cy = MAAT / 2 + rng.uniform(-2, 2, 2)
    hoek = rng.uniform(-0.5, 0.5) + rng.choice([0, np.pi / 2, np.pi, -np.pi / 2])
    u = (x - cx) * np.cos(hoek) + (y - cy) * np.sin(hoek)
    v = -(x - cx) * np.sin(hoek) + (y - cy) * np.cos(hoek)
    lengte, breed = rng.uniform(6.5, 8.5), {
        "lieveheersbeestje": 0.9, "loopkever": 0.55, "boktor": 0.4,
        "snuitkever": 0.65, "neushoornkever": 0.7, "bladhaantje": 0.7}[soort]
    schild = (u / lengte) ** 2 + (v / (breed * lengte)) ** 2 < 1
    kop = (u - lengte - 1) ** 2 + v ** 2 < 7
    rand = (abs(abs(v) - (breed * lengte + 2)) < 2) & (abs((u + 1) % 4 - 2) < 0.6) & (abs(u) < lengte)
    grond = rng.uniform(0.5, 0.9, 3)
    kleur, donker = rng.uniform(0.05, 0.6, 3), rng.uniform(0, 0.2)
    beeld = np.ones((MAAT, MAAT, 3)) * grond
    beeld[rand] = donker
    beeld[schild] = kleur
    beeld[kop] = donker
    if soort == "lieveheersbeestje":
        beeld[schild & (np.cos(u * 1.3) * np.cos(v * 1.3) > 0.45)] = donker
    elif soort == "loopkever":
        beeld[schild & (np.cos(v * 2.6) > 0.6)] = kleur * 0.4
    elif soort == "boktor":
        spriet = (u > lengte - 6) & (abs(abs(v) - 0.5 * (u - lengte + 3)) < 0.8)
        beeld[spriet] = donker
    elif soort == "snuitkever":
        beeld[(u > lengte) & (u < lengte + 7) & (abs(v) < 1)] = donker
    elif soort == "neushoornkever":
        beeld[(abs(np.hypot(u - lengte - 4, v) - 3.5) < 0.9) & (u > lengte)] = donker
    else:
        beeld[schild & (np.cos(u * 1.6) > 0.4)] = kleur * 0.4
    beeld = beeld * rng.uniform(0.7, 1.15) + rng.normal(0, 0.06, beeld.shape)
    return beeld.clip(0, 1).transpose(2, 0, 1)


def verzameling(n, zaad):
    rng = np.random.default_rng(zaad)
    y = rng.permutation(np.arange(n) % len(SOORTEN))
    return torch.tensor(np.stack([kever(SOORTEN[k], rng) for k in y]), dtype=torch.float32), torch.tensor(y)


# ---------------------------------------------------------------- bouwstenen
class ConvBN(nn.Sequential):
    def __init__(self, c_in, c_uit, k=3, stap=1, groepen=1, act=None):
        lagen = [nn.Conv2d(c_in, c_uit, k, stap, k // 2, groups=groepen, bias=False), nn.BatchNorm2d(c_uit)]
        if act is not None:
            lagen.append(act())
        super().__init__(*lagen)


class OmgekeerdBlok(nn.Module):
    """Uitbreiden (1x1), ruimtelijk filteren (3x3 per kanaal), lineair terugbrengen (1x1)."""

    def __init__(self, c_in, c_uit, stap=1, factor=3, act=nn.ReLU6):
        super().__init__()
        breedte = c_in * factor
        self.pad = nn.Sequential(
            ConvBN(c_in, breedte, k=1, act=act),
            ConvBN(breedte, breedte, stap=stap, groepen=breedte, act=act),
            ConvBN(breedte, c_uit, k=1),
        )
        self.optellen = stap == 1 and c_in == c_uit

    def forward(self, x):
        return x + self.pad(x) if self.optellen else self.pad(x)


class KeverNet(nn.Module):
    def __init__(self, klassen):
        super().__init__()
        self.romp = nn.Sequential(
            ConvBN(3, 12, stap=2, act=nn.ReLU6),
            OmgekeerdBlok(12, 12),
            OmgekeerdBlok(12, 20, stap=2),
            OmgekeerdBlok(20, 20),
            OmgekeerdBlok(20, 32, stap=2),
        )
        self.kop = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, klassen))

    def forward(self, x):
        return self.kop(self.romp(x))


# ---------------------------------------------------------------- trainen
def groepen(model, wd):
    met = [p for p in model.parameters() if p.ndim > 1]
    zonder = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": met, "weight_decay": wd}, {"params": zonder, "weight_decay": 0.0}]


def spiegel(x):
    """Elke kever met kans 1/2 gespiegeld, los van elkaar."""
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(-1), x)


def score(model, x, y):
    model.eval()
    with torch.inference_mode():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(6)
    begin = time.time()
    x, y = verzameling(1600, 300)
    x_toets, y_toets = verzameling(600, 301)
    gem, spr = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, x_toets = (x - gem) / spr, (x_toets - gem) / spr

    model = KeverNet(len(SOORTEN))
    rondes, lot = 11, 50
    opt = torch.optim.AdamW(groepen(model, 1e-2), lr=4e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, epochs=rondes, steps_per_epoch=len(x) // lot)
    for ronde in range(rondes):
        model.train()
        som = 0.0
        for i in torch.randperm(len(x)).split(lot):
            beelden = spiegel(x[i])
            verlies = nn.functional.cross_entropy(model(beelden), y[i])
            opt.zero_grad()
            verlies.backward()
            opt.step()
            plan.step()
            som += verlies.item() * len(i) / len(x)
        print(f"ronde {ronde + 1:2d}  verlies {som:.3f}  ({time.time() - begin:.1f} s)")
    print(f"toetsscore {score(model, x_toets, y_toets):.4f}")
