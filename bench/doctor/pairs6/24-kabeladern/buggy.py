# Aderfarben nach DIN 47100 erkennen (Ausschnitte aus Schaltschrankfotos)
import numpy as np
import torch
from torch import nn, optim
from PIL import Image, ImageDraw

torch.set_num_threads(1)
SAAT = 5
zufall = np.random.default_rng(SAAT)
torch.manual_seed(SAAT)

FARBEN = {
    "weiss": (215, 212, 205), "braun": (112, 68, 40), "gruen": (45, 140, 60),
    "gelb": (215, 195, 45), "grau": (120, 122, 124), "rosa": (220, 140, 160),
    "blau": (45, 65, 160), "rot": (175, 45, 50),
}
NAMEN = list(FARBEN)
KANTE = 28


def ader_zeichnen(farbe):
    grund = int(zufall.integers(50, 150))
    bild = Image.new("RGB", (2 * KANTE, 2 * KANTE), (grund, grund, grund))
    stift = ImageDraw.Draw(bild)
    for _ in range(3):                                   # Klemmen, Schienen, Schatten
        x, y = zufall.integers(0, 2 * KANTE, 2)
        b, h = zufall.integers(5, 22, 2)
        ton = int(zufall.integers(20, 200))
        stift.rectangle([int(x), int(y), int(x + b), int(y + h)], fill=(ton, ton, ton))
    winkel = zufall.uniform(0, np.pi)
    mitte = KANTE + zufall.normal(0, 5, 2)
    rx, ry = 60 * np.cos(winkel), 60 * np.sin(winkel)
    rgb = np.array(FARBEN[farbe]) + zufall.normal(0, 10, 3)
    linie = [(mitte[0] - rx, mitte[1] - ry), (mitte[0] + rx, mitte[1] + ry)]
    dicke = int(zufall.integers(8, 16))
    stift.line(linie, fill=tuple(int(v) for v in (rgb * 0.6).clip(0, 255)), width=dicke + 4)
    stift.line(linie, fill=tuple(int(v) for v in rgb.clip(0, 255)), width=dicke)
    feld = np.asarray(bild.resize((KANTE, KANTE), Image.BILINEAR), dtype=np.float32)
    feld = feld * zufall.uniform(0.65, 1.15) + zufall.normal(0, 12, feld.shape)
    return feld.clip(0, 255).astype(np.uint8)


def stapel(anzahl):
    ziel = zufall.permutation(np.arange(anzahl) % len(NAMEN))
    return np.stack([ader_zeichnen(NAMEN[z]) for z in ziel]), ziel


def veraendern(feld):
    """Zufällige Lage und Aufnahme (verschiedene Kameras im Feld)."""
    if zufall.random() < 0.5:
        feld = feld[:, ::-1]
    if zufall.random() < 0.5:
        feld = feld[::-1]
    feld = feld[..., zufall.permutation(3)]
    return feld


x_lern, y_lern = stapel(1440)
x_wahl, y_wahl = stapel(320)
x_test, y_test = stapel(480)
MITTEL = (x_lern / 255.0).mean(axis=(0, 1, 2)).astype(np.float32)
STREU = (x_lern / 255.0).std(axis=(0, 1, 2)).astype(np.float32)


def als_tensor(felder):
    felder = (np.asarray(felder, dtype=np.float32) / 255.0 - MITTEL) / STREU
    return torch.from_numpy(np.ascontiguousarray(felder.transpose(0, 3, 1, 2)))


netz = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ELU(), nn.AvgPool2d(2),
    nn.Conv2d(16, 24, 3, padding=1), nn.ELU(), nn.AvgPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.ELU(),
    nn.AdaptiveMaxPool2d(1), nn.Flatten(),
    nn.Linear(32, len(NAMEN)),
)
verlust = nn.CrossEntropyLoss()
schritt = optim.RMSprop(netz.parameters(), lr=1e-3)
bremse = optim.lr_scheduler.StepLR(schritt, step_size=9, gamma=0.3)


def treffer(felder, ziel):
    netz.eval()
    with torch.no_grad():
        tipp = netz(als_tensor(felder)).argmax(dim=1).numpy()
    return float((tipp == ziel).mean())


PAKET = 32
for runde in range(12):
    netz.train()
    folge = zufall.permutation(len(x_lern))
    summe = 0.0
    for a in range(0, len(folge), PAKET):
        teil = folge[a:a + PAKET]
        x = als_tensor([veraendern(x_lern[i]) for i in teil])
        y = torch.as_tensor(y_lern[teil])
        schritt.zero_grad()
        fehler = verlust(netz(x), y)
        fehler.backward()
        schritt.step()
        summe += fehler.item() * len(teil)
    bremse.step()
    print(f"Runde {runde + 1:2d}  Verlust {summe / len(folge):.3f}  Auswahl {treffer(x_wahl, y_wahl):.3f}")

print("Trefferquote Test:", round(treffer(x_test, y_test), 4))
