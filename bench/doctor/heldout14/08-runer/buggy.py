"""Runer: fortræning på latinske bogstaver, derefter finjustering på ni runer i to faser."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

# hvert tegn er en liste af streger (x0, y0, x1, y1) i enhedskvadratet
BOGSTAVER = {
    "L": [(0, 0, 0, 1), (0, 1, 1, 1)], "T": [(0, 0, 1, 0), (.5, 0, .5, 1)],
    "E": [(0, 0, 0, 1), (0, 0, 1, 0), (0, .5, 1, .5), (0, 1, 1, 1)],
    "H": [(0, 0, 0, 1), (1, 0, 1, 1), (0, .5, 1, .5)],
    "U": [(0, 0, 0, 1), (1, 0, 1, 1), (0, 1, 1, 1)], "I": [(.5, 0, .5, 1)],
}
RUNER = {
    "fe": [(.2, 0, .2, 1), (.2, .45, .9, .05), (.2, .75, .9, .35)],
    "ur": [(.1, 0, .1, 1), (.1, 0, .9, .4), (.9, .4, .9, 1)],
    "thurs": [(.2, 0, .2, 1), (.2, .25, .8, .5), (.8, .5, .2, .75)],
    "ass": [(.2, 0, .2, 1), (.2, .05, .9, .45), (.2, .35, .9, .75)],
    "kaun": [(.2, 0, .2, 1), (.2, .6, .9, .1)],
    "naud": [(.5, 0, .5, 1), (.1, .35, .9, .65)],
    "sol": [(.2, 0, .2, .55), (.2, .55, .8, .35), (.8, .35, .8, 1)],
    "tyr": [(.5, 0, .5, 1), (.5, 0, .05, .35), (.5, 0, .95, .35)],
    "madr": [(.5, 0, .5, 1), (.05, .05, .5, .4), (.95, .05, .5, .4)],
}


def tegn(streger, rng):
    billede = Image.new("L", (56, 56), 0)
    d = ImageDraw.Draw(billede)
    b, h = rng.uniform(16, 26), rng.uniform(24, 36)
    x, y = rng.uniform(4, 52 - b), rng.uniform(4, 52 - h)
    bredde = int(rng.integers(2, 5))
    for s in streger:
        p = np.array(s).reshape(2, 2) + rng.normal(0, 0.06, (2, 2))
        d.line([tuple(x_ for x_ in (x + b * p[0, 0], y + h * p[0, 1])),
                (x + b * p[1, 0], y + h * p[1, 1])], fill=255, width=bredde)
    billede = billede.rotate(rng.normal(0, 8), resample=Image.BILINEAR).resize((28, 28), Image.BOX)
    a = np.asarray(billede, np.float32) / 255 * rng.uniform(0.5, 1.0)
    return a + rng.normal(0, 0.11, a.shape) + rng.uniform(0, 0.3)


def lav(alfabet, n, frø):
    rng = np.random.default_rng(frø)
    navne = list(alfabet)
    y = rng.permutation(np.arange(n) % len(navne))
    x = np.stack([tegn(alfabet[navne[k]], rng) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class Læser(nn.Module):
    def __init__(self, klasser):
        super().__init__()
        self.krop = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1), nn.GroupNorm(4, 24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 24, 3, padding=1), nn.GroupNorm(4, 24), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
        )
        self.hoved = nn.Linear(24 * 9, klasser)

    def forward(self, x):
        return self.hoved(self.krop(x))


def epoker(net, opt, x, y, antal, navn, parti=32):
    for e in range(antal):
        net.train()
        tab = 0.0
        for i in torch.randperm(len(x)).split(parti):
            opt.zero_grad()
            t = F.cross_entropy(net(x[i]), y[i])
            t.backward()
            opt.step()
            tab += t.item() * len(i)
        print(f"{navn} {e + 1}/{antal}: tab {tab / len(x):.3f}")


@torch.no_grad()
def nøjagtighed(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def finjuster(net, x, y):
    # fase 1: kun det nye hoved
    net.krop.requires_grad_(False)
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=3e-3)
    epoker(net, opt, x, y, 4, "hoved")
    # fase 2: hele nettet
    net.krop.requires_grad_(True)
    epoker(net, opt, x, y, 11, "hele nettet")


def main():
    torch.manual_seed(3)
    x_kilde, y_kilde = lav(BOGSTAVER, 1080, 40)
    x_træn, y_træn = lav(RUNER, 1080, 41)
    x_test, y_test = lav(RUNER, 630, 42)

    net = Læser(len(BOGSTAVER))
    m, s = x_kilde.mean(), x_kilde.std()
    epoker(net, torch.optim.Adam(net.parameters(), lr=2e-3), (x_kilde - m) / s, y_kilde, 4, "fortræning")

    net.hoved = nn.Linear(net.hoved.in_features, len(RUNER))
    finjuster(net, (x_træn - m) / s, y_træn)
    print(f"nøjagtighed på testrunerne: {nøjagtighed(net, (x_test - m) / s, y_test):.4f}")


if __name__ == "__main__":
    main()
