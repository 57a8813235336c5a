"""Kontroll av lödfogar: god, kallödning, brygga, saknas, hålighet. Tränare med återanrop."""
import copy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

KLASSER = ["god", "kall", "brygga", "saknas", "halighet"]
STORLEK = 28


def fog(klass, rng):
    y, x = np.mgrid[:STORLEK, :STORLEK].astype(float)
    cx, cy = STORLEK / 2 + rng.uniform(-3, 3, 2)
    a, b = rng.uniform(5, 8, 2)
    rho = np.hypot((x - cx) / a, (y - cy) / b)
    bild = np.full((STORLEK, STORLEK), rng.uniform(0.15, 0.35))
    platta = rho < 1.25
    bild[platta] = rng.uniform(0.4, 0.6)
    if klass != "saknas":
        bild = np.where(rho < 1, 0.5 + 0.4 * (1 - rho), bild)
    if klass == "god":
        bild += 0.35 * np.exp(-(((x - cx + 2) / 2) ** 2 + ((y - cy + 2) / 2) ** 2))
    elif klass == "kall":
        bild += (rho < 1) * gaussian_filter(rng.normal(0, 1, bild.shape), 0.9) * 0.45
    elif klass == "brygga":
        rikt = rng.choice([-1, 1])
        bild = np.where((abs(y - cy) < rng.uniform(1.5, 3)) & (rikt * (x - cx) > 0), 0.7, bild)
    elif klass == "halighet":
        hx, hy = rng.uniform(-2, 2, 2)
        bild -= 0.5 * (np.hypot(x - cx - hx, y - cy - hy) < rng.uniform(1.3, 2.4))
    bild = gaussian_filter(bild, rng.uniform(0.3, 0.8)) * rng.uniform(0.7, 1.2)
    return bild + rng.normal(0, 0.07, bild.shape)


def skapa(antal, frö):
    rng = np.random.default_rng(frö)
    y = rng.permutation(np.arange(antal) % len(KLASSER))
    x = np.stack([fog(KLASSER[k], rng) for k in y])[:, None].astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


def nät():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 7 * 7, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU(),
        nn.Linear(48, len(KLASSER)),
    )


class Återanrop:
    def efter_epok(self, tränare, epok, logg):
        pass


class Utskrift(Återanrop):
    def efter_epok(self, tränare, epok, logg):
        print(f"epok {epok}: " + ", ".join(f"{k} {v:.3f}" for k, v in logg.items()))


class SparaBästa(Återanrop):
    def __init__(self):
        self.bäst, self.vikter = -1.0, None

    def efter_epok(self, tränare, epok, logg):
        if logg["valnoggrannhet"] > self.bäst:
            self.bäst = logg["valnoggrannhet"]
            self.vikter = copy.deepcopy(tränare.modell.state_dict())


class Tränare:
    def __init__(self, modell, lr, återanrop):
        self.modell, self.återanrop = modell, återanrop
        self.förlust = nn.CrossEntropyLoss()
        self.opt = torch.optim.RMSprop(modell.parameters(), lr=lr)

    def träna(self, träning, validering, epoker):
        for epok in range(1, epoker + 1):
            self.modell.train()
            summa = antal = 0
            for x, y in träning:
                self.opt.zero_grad()
                f = self.förlust(self.modell(x), y)
                f.backward()
                self.opt.step()
                summa += f.item() * len(y)
                antal += len(y)
            logg = {"förlust": summa / antal, "valnoggrannhet": self.noggrannhet(validering)}
            for å in self.återanrop:
                å.efter_epok(self, epok, logg)

    @torch.no_grad()
    def noggrannhet(self, data):
        self.modell.eval()
        rätt = sum(int((self.modell(x).argmax(1) == y).sum()) for x, y in data)
        return rätt / len(data.dataset)


def main():
    torch.manual_seed(99)
    x, y = skapa(1300, 1)
    n_val = int(0.15 * len(x))
    tr, va = random_split(range(len(x)), [len(x) - n_val, n_val])
    m, s = x[list(tr)].mean(), x[list(tr)].std()
    x = (x - m) / s
    träning = DataLoader(TensorDataset(x[list(tr)], y[list(tr)]), batch_size=48, shuffle=True)
    validering = DataLoader(TensorDataset(x[list(va)], y[list(va)]), batch_size=100)
    x_test, y_test = skapa(500, 2)
    test = DataLoader(TensorDataset((x_test - m) / s, y_test), batch_size=100)

    bästa = SparaBästa()
    tränare = Tränare(nät(), lr=5e-4, återanrop=[Utskrift(), bästa])
    tränare.träna(träning, validering, epoker=9)
    tränare.modell.load_state_dict(bästa.vikter)
    print(f"noggrannhet på testmängden: {tränare.noggrannhet(test):.4f}")


if __name__ == "__main__":
    main()
