"""Dopravní značky v šeru: modul ve stylu Lightning a malý běhový cyklus."""
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ZNACKY = ["zakaz", "prikaz", "vystraha", "stop", "hlavni", "informace"]
ROZMER = 28


def vykresli(znacka, nahoda):
    y, x = np.mgrid[:ROZMER, :ROZMER].astype(float)
    cy, cx = ROZMER / 2 + nahoda.uniform(-4, 4, 2)
    uhel = nahoda.uniform(-0.2, 0.2)
    u = (x - cx) * np.cos(uhel) + (y - cy) * np.sin(uhel)
    v = -(x - cx) * np.sin(uhel) + (y - cy) * np.cos(uhel)
    s = nahoda.uniform(5.5, 9)
    kruh = np.hypot(u, v) / s
    trojuhelnik = np.maximum(v / 0.6, np.abs(u) * 1.73 - v) / s
    osmiuhelnik = np.maximum(np.maximum(np.abs(u), np.abs(v)), (np.abs(u) + np.abs(v)) * 0.72) / (0.92 * s)
    kosoctverec = (np.abs(u) + np.abs(v)) / (1.2 * s)
    ctverec = np.maximum(np.abs(u), np.abs(v)) / (0.85 * s)
    cervena, modra = np.array([0.8, 0.1, 0.12]), np.array([0.1, 0.25, 0.7])
    bila, zluta = np.array([0.92, 0.92, 0.9]), np.array([0.95, 0.75, 0.1])
    tvar, okraj, vypln = {
        "zakaz": (kruh, cervena, bila),
        "prikaz": (kruh, bila, modra),
        "vystraha": (trojuhelnik, cervena, bila),
        "stop": (osmiuhelnik, bila, cervena),
        "hlavni": (kosoctverec, bila, zluta),
        "informace": (ctverec, bila, modra),
    }[znacka]
    pozadi = nahoda.uniform(0.2, 0.7) + 0.5 * gaussian_filter(nahoda.normal(0, 1, (ROZMER, ROZMER, 3)), (3, 3, 0))
    obraz = np.where((tvar < 1)[..., None], okraj, pozadi)
    obraz = np.where((tvar < 0.75)[..., None], vypln, obraz)
    obraz = gaussian_filter(obraz, (nahoda.uniform(0.3, 1.4),) * 2 + (0,))
    sedost = nahoda.uniform(0.55, 0.95)
    obraz = sedost * obraz.mean(2, keepdims=True) + (1 - sedost) * obraz
    obraz = obraz * nahoda.uniform(0.3, 1.0) + nahoda.normal(0, 0.09, obraz.shape)
    return obraz.transpose(2, 0, 1).astype(np.float32)


def sada(pocet, seminko):
    nahoda = np.random.default_rng(seminko)
    t = nahoda.permutation(np.arange(pocet) % len(ZNACKY))
    return torch.from_numpy(np.stack([vykresli(ZNACKY[k], nahoda) for k in t])), torch.from_numpy(t)


class Blok(nn.Module):
    def __init__(self, kanaly):
        super().__init__()
        self.cesta = nn.Sequential(
            nn.Conv2d(kanaly, kanaly, 3, padding=1, bias=False), nn.BatchNorm2d(kanaly), nn.ReLU(),
            nn.Conv2d(kanaly, kanaly, 3, padding=1, bias=False), nn.BatchNorm2d(kanaly),
        )

    def forward(self, x):
        return F.relu(x + self.cesta(x))


def zuzeni(z, do):
    return nn.Sequential(nn.Conv2d(z, do, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(do), nn.ReLU())


class ModulZnacek(nn.Module):
    def __init__(self, prumer, odchylka, rychlost=3e-3, utlum=0.05, kroku=300):
        super().__init__()
        self.rychlost, self.utlum, self.kroku = rychlost, utlum, kroku
        self.register_buffer("prumer", prumer)
        self.register_buffer("odchylka", odchylka)
        self.sit = nn.Sequential(zuzeni(3, 16), Blok(16), zuzeni(16, 32), Blok(32), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.hlava = nn.Linear(32 * 4, len(ZNACKY))

    def forward(self, x):
        return self.hlava(self.sit((x - self.prumer) / self.odchylka))

    def training_step(self, davka):
        x, t = davka
        return F.cross_entropy(self(x), t)

    def validation_step(self, davka):
        x, t = davka
        return (self(x).argmax(1) == t).sum().item()

    def configure_optimizers(self):
        s_utlumem, bez_utlumu = [], []
        for jmeno, p in self.named_parameters():
            if "norm" in jmeno or jmeno.endswith("bias"):  # normalizace a posuny
                bez_utlumu.append(p)
            else:
                s_utlumem.append(p)
        opt = torch.optim.Adam(
            [{"params": s_utlumem, "weight_decay": self.utlum}, {"params": bez_utlumu, "weight_decay": 0.0}],
            lr=self.rychlost,
        )
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, self.kroku)
        return opt, plan


def spravne(modul, nacitac):
    modul.eval()
    with torch.no_grad():
        return sum(modul.validation_step(d) for d in nacitac) / len(nacitac.dataset)


def fit(modul, trenink, validace, epochy):
    opt, plan = modul.configure_optimizers()
    for epocha in range(1, epochy + 1):
        modul.train()
        ztraty = []
        for davka in trenink:
            ztrata = modul.training_step(davka)
            opt.zero_grad()
            ztrata.backward()
            opt.step()
            plan.step()
            ztraty.append(ztrata.item())
        print(f"epocha {epocha:2d}  ztráta {np.mean(ztraty):.3f}  validace {spravne(modul, validace):.3f}")


def hlavni():
    torch.manual_seed(12)
    (x, t), val, test = sada(1200, 1), sada(300, 2), sada(600, 3)
    trenink = DataLoader(TensorDataset(x, t), batch_size=40, shuffle=True, drop_last=True)
    validace = DataLoader(TensorDataset(*val), batch_size=100)
    zkouska = DataLoader(TensorDataset(*test), batch_size=100)
    epochy = 12
    modul = ModulZnacek(
        x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True), kroku=epochy * len(trenink)
    )
    fit(modul, trenink, validace, epochy)
    print(f"správně na zkušební sadě: {spravne(modul, zkouska):.4f}")


if __name__ == "__main__":
    hlavni()
