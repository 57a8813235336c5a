"""Ikony počasí. Malý obal ve stylu Keras nad PyTorch: compile / fit / evaluate."""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFilter

IKONY = ("slunce", "mrak", "dest", "snih", "blesk", "mlha", "mesic")


def kresli(druh, rng, n=28):
    k = 2
    obr = Image.new("L", (n * k, n * k), int(rng.integers(20, 110)))
    d = ImageDraw.Draw(obr)
    barva = int(rng.integers(150, 255))
    x, y = rng.uniform(22, 34, 2)
    m = rng.uniform(0.8, 1.2)

    def mrak(yy):
        for dx, dy, r in ((-9, 0, 7), (0, -4, 9), (9, 0, 7)):
            d.ellipse([x + m * (dx - r), yy + m * (dy - r), x + m * (dx + r), yy + m * (dy + r)], fill=barva)

    if druh == "slunce":
        r = 8 * m
        d.ellipse([x - r, y - r, x + r, y + r], fill=barva)
        posun = rng.uniform(0, 1)
        for i in range(8):
            t = (i + posun) * np.pi / 4
            d.line([x + 11 * m * np.cos(t), y + 11 * m * np.sin(t),
                    x + 17 * m * np.cos(t), y + 17 * m * np.sin(t)], fill=barva, width=3)
    elif druh == "mrak":
        mrak(y)
    elif druh in ("dest", "snih", "blesk"):
        mrak(y - 6)
        if druh == "dest":
            for dx in (-9, -2, 5):
                d.line([x + m * (dx + 3), y + 5 * m, x + m * dx, y + 14 * m], fill=barva, width=2)
        elif druh == "snih":
            for dx, dy in ((-8, 8), (0, 12), (8, 8)):
                d.ellipse([x + m * dx - 2, y + m * dy - 2, x + m * dx + 2, y + m * dy + 2], fill=barva)
        else:
            d.line([(x + 3, y + 3), (x - 3, y + 9 * m), (x + 3, y + 9 * m), (x - 3, y + 17 * m)], fill=barva, width=3)
    elif druh == "mlha":
        for i in range(4):
            s = rng.uniform(-4, 4)
            d.line([x - 14 * m + s, y - 10 * m + 7 * i, x + 14 * m + s, y - 10 * m + 7 * i], fill=barva, width=3)
    else:
        r = 12 * m
        d.ellipse([x - r, y - r, x + r, y + r], fill=barva)
        d.ellipse([x - 0.3 * r, y - 1.1 * r, x + 1.5 * r, y + 0.7 * r], fill=obr.getpixel((0, 0)))
    obr = obr.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))).resize((n, n), Image.BOX)
    a = np.asarray(obr, np.float32) / 255
    return a + rng.normal(0, 0.12, a.shape)


def nacti(n, seminko):
    rng = np.random.default_rng(seminko)
    cile = rng.permutation(np.arange(n) % len(IKONY))
    return (np.stack([kresli(IKONY[c], rng) for c in cile])[:, None].astype(np.float32), cile.astype(np.int64))


class OddelenaKonvoluce(nn.Sequential):
    """Hloubková konvoluce 3x3, potom bodová 1x1."""

    def __init__(self, vstup, vystup, krok=1):
        super().__init__(
            nn.Conv2d(vstup, vstup, 3, stride=krok, padding=1, groups=vstup, bias=False),
            nn.BatchNorm2d(vstup),
            nn.ReLU(inplace=True),
            nn.Conv2d(vstup, vystup, 1, bias=False),
            nn.BatchNorm2d(vystup),
            nn.ReLU(inplace=True),
        )


class Model:
    def __init__(self, *vrstvy):
        self.sit = nn.Sequential(*vrstvy)

    def summary(self):
        for jmeno, vrstva in self.sit.named_children():
            print(f"{jmeno:>3} {type(vrstva).__name__:<20} {sum(p.numel() for p in vrstva.parameters()):>7}")
        print("celkem parametrů:", sum(p.numel() for p in self.sit.parameters()))

    def compile(self, optimizer, loss):
        self.loss = loss
        self.opt = optimizer(self.sit.parameters())
        return self

    def fit(self, x, y, batch_size, epochs):
        x, y = torch.as_tensor(x), torch.as_tensor(y)
        self.sit.train()
        for e in range(epochs):
            ztraty = []
            for i in torch.randperm(len(x)).split(batch_size):
                self.opt.zero_grad()
                ztrata = self.loss(self.sit(x[i]), y[i])
                ztrata.backward()
                self.opt.step()
                ztraty.append(ztrata.item())
            print(f"Epoch {e + 1}/{epochs} - loss: {np.mean(ztraty):.4f}")
        return self

    @torch.no_grad()
    def evaluate(self, x, y, batch_size=140):
        self.sit.eval()
        odhady = [self.sit(b).argmax(1) for b in torch.as_tensor(x).split(batch_size)]
        return (torch.cat(odhady) == torch.as_tensor(y)).float().mean().item()


torch.manual_seed(123)
x_uc, y_uc = nacti(1400, 61)
x_te, y_te = nacti(560, 62)
prumer, odchylka = x_uc.mean(), x_uc.std()
x_uc, x_te = (x_uc - prumer) / odchylka, (x_te - prumer) / odchylka

model = Model(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
    OddelenaKonvoluce(16, 32, krok=2),
    OddelenaKonvoluce(32, 48, krok=2),
    OddelenaKonvoluce(48, 64),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(),
    nn.Linear(256, len(IKONY)),
)
model.summary()
model.compile(optimizer=lambda p: torch.optim.Adam(p, lr=2e-3), loss=nn.CrossEntropyLoss())
model.fit(x_uc, y_uc, batch_size=40, epochs=7)
print("přesnost na testu:", round(model.evaluate(x_te, y_te), 4))
