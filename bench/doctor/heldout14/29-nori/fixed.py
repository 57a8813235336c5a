"""Tipuri de nori din imagini de la sol. După fiecare epocă se păstrează o copie a rețelei; la sfârșit se alege una."""
import copy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CFG = {
    "tipuri": ["cumulus", "stratus", "cirrus", "altocumulus"],
    "latura": 24,
    "numar": {"antrenare": 640, "validare": 160, "test": 120},
    "lot": 32,
    "epoci": 16,
    "lr": 2e-3,
    "samanta": 57,
}


def cer(tip, zar):
    n = CFG["latura"]
    zgomot = zar.normal(0, 1, (n, n))
    if tip == "cumulus":
        camp = gaussian_filter(zgomot, zar.uniform(2.2, 3.6), mode="wrap")
    elif tip == "stratus":
        camp = gaussian_filter(zgomot, (zar.uniform(1.6, 3.2), zar.uniform(4, 7)), mode="wrap")
    elif tip == "cirrus":
        y, x = np.mgrid[:n, :n]
        camp = gaussian_filter(zgomot, (zar.uniform(0.7, 1.3), zar.uniform(3, 6)), mode="wrap")
        panta = zar.uniform(-0.6, 0.6)
        camp = camp[(y + (panta * x).astype(int)) % n, x]
    else:
        camp = gaussian_filter(zgomot, zar.uniform(1.2, 2.2), mode="wrap")
    camp = (camp - camp.mean()) / camp.std()
    acoperire = 1 / (1 + np.exp(-zar.uniform(1.5, 3.0) * (camp + zar.uniform(-0.5, 0.5))))
    lumina = zar.uniform(0.3, 0.5) + zar.uniform(0.2, 0.45) * acoperire
    lumina = lumina + zar.normal(0, 0.1) * np.linspace(-1, 1, n)[:, None]
    return (lumina + zar.normal(0, 0.075, (n, n))).astype(np.float32)


def pregateste():
    zar = np.random.default_rng(CFG["samanta"])
    parti = {}
    for nume, cate in CFG["numar"].items():
        y = np.arange(cate) % len(CFG["tipuri"])
        x = np.stack([cer(CFG["tipuri"][k], zar) for k in y])[:, None]
        parti[nume] = (torch.from_numpy(x), torch.from_numpy(y))
    m, s = parti["antrenare"][0].mean(), parti["antrenare"][0].std()
    return {
        nume: DataLoader(TensorDataset((x - m) / s, y), batch_size=CFG["lot"], shuffle=nume == "antrenare")
        for nume, (x, y) in parti.items()
    }


def construieste():
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, len(CFG["tipuri"])),
    )


@torch.no_grad()
def acuratete(retea, date):
    retea.eval()
    bune = 0
    for x, y in date:
        bune += int((retea(x).argmax(dim=1) == y).sum())
    return bune / len(date.dataset)


def o_epoca(retea, date, opt, criteriu):
    retea.train()
    total = 0.0
    for x, y in date:
        if np.random.rand() < 0.5:
            x = torch.flip(x, dims=[3])
        opt.zero_grad()
        cost = criteriu(retea(x), y)
        cost.backward()
        opt.step()
        total += cost.item() * len(y)
    return total / len(date.dataset)


def alege(copii, date):
    """Întoarce epoca și starea cu cea mai bună acuratețe pe datele primite."""
    proba = construieste()
    note = []
    for stare in copii:
        proba.load_state_dict(stare)
        note.append(acuratete(proba, date))
    castigator = int(np.argmax(note))
    return castigator + 1, copii[castigator]


def main():
    torch.manual_seed(CFG["samanta"])
    np.random.seed(CFG["samanta"])
    date = pregateste()
    retea = construieste()
    opt = torch.optim.Adam(retea.parameters(), lr=CFG["lr"])
    criteriu = nn.CrossEntropyLoss()

    copii = []
    for epoca in range(1, CFG["epoci"] + 1):
        cost = o_epoca(retea, date["antrenare"], opt, criteriu)
        copii.append(copy.deepcopy(retea.state_dict()))
        print(f"epoca {epoca:2d}: cost {cost:.3f}")

    epoca, stare = alege(copii, date["validare"])
    retea.load_state_dict(stare)
    print(f"rețeaua din epoca {epoca}, acuratețe pe test: {acuratete(retea, date['test']):.4f}")


if __name__ == "__main__":
    main()
