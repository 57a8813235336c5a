# Banderes: reconèixer la disposició (no els colors) d'una bandera que oneja.
# Xarxa amb dos canals de coordenades afegits a l'entrada.
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

DISPOSICIONS = ["pal", "faixa", "creu", "sautor", "quarters", "disc", "canto", "banda"]
H, W = 24, 32
LLAVOR = 4


def bandera(tipus, rng):
    y, x = np.mgrid[:H, :W].astype(float)
    x = (x - W / 2 + rng.uniform(-2, 2)) / (W / 2)
    y = (y - H / 2 + rng.uniform(-2, 2)) / (H / 2)
    y = y + rng.uniform(0.03, 0.12) * np.sin(rng.uniform(2, 5) * x + rng.uniform(0, 6))
    x = x * rng.uniform(0.9, 1.15)
    zona = np.zeros((H, W), int)
    g = rng.uniform(0.14, 0.24)
    if tipus == "pal":
        zona = np.digitize(x, [-0.33, 0.33])
    elif tipus == "faixa":
        zona = np.digitize(y, [-0.33, 0.33])
    elif tipus == "creu":
        zona[(abs(x + rng.uniform(0, 0.35)) < 0.75 * g) | (abs(y) < g)] = 1
    elif tipus == "sautor":
        zona[(abs(x - y) < 1.3 * g) | (abs(x + y) < 1.3 * g)] = 1
    elif tipus == "quarters":
        zona[(x > 0) ^ (y > 0)] = 1
    elif tipus == "disc":
        zona[np.hypot(x * W / H, y) < rng.uniform(0.45, 0.65)] = 1
    elif tipus == "canto":
        zona = np.floor((y + 1) * rng.uniform(2.2, 3.2)).astype(int) % 2
        zona[(x < -0.05) & (y < 0.05)] = 2
    else:
        zona[abs(x - rng.choice([-1, 1]) * y) < 1.5 * g] = 1
    colors = rng.uniform(0, 1, (3, 3))
    while min(abs(colors[0] - colors[1]).sum(), abs(colors[1] - colors[2]).sum(), abs(colors[0] - colors[2]).sum()) < 0.7:
        colors = rng.uniform(0, 1, (3, 3))
    img = colors[zona] * (1 + 0.15 * np.sin(6 * x + rng.uniform(0, 6)))[..., None]
    return (img + rng.normal(0, 0.1, img.shape)).clip(0, 1)


def recull(n, llavor):
    rng = np.random.default_rng(llavor)
    etiquetes = rng.permutation(np.arange(n) % len(DISPOSICIONS))
    imatges = np.stack([bandera(DISPOSICIONS[k], rng) for k in etiquetes]).astype(np.float32)
    return torch.from_numpy(imatges).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(etiquetes)


class AfegeixCoordenades(nn.Module):
    """Enganxa a cada imatge un mapa amb la posició horitzontal i vertical."""

    def __init__(self, alt, ample):
        super().__init__()
        yy, xx = np.meshgrid(np.linspace(-1, 1, alt), np.linspace(-1, 1, ample), indexing="ij")
        self.register_buffer("mapa", torch.from_numpy(np.stack([xx, yy])).float())

    def forward(self, x):
        return torch.cat([x, self.mapa.expand(len(x), -1, -1, -1)], dim=1)


torch.manual_seed(LLAVOR)
x_ent, y_ent = recull(1600, 81)
x_val, y_val = recull(320, 82)
x_prova, y_prova = recull(640, 83)
mitjana, desv = x_ent.mean((0, 2, 3), keepdim=True), x_ent.std((0, 2, 3), keepdim=True)
x_ent, x_val, x_prova = [(t - mitjana) / desv for t in (x_ent, x_val, x_prova)]
lots = DataLoader(TensorDataset(x_ent, y_ent), batch_size=40, shuffle=True)

xarxa = nn.Sequential(
    AfegeixCoordenades(H, W),
    nn.Conv2d(5, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * (H // 8) * (W // 8), len(DISPOSICIONS)),
)
optim = torch.optim.NAdam(xarxa.parameters(), lr=2e-3)
perdua = nn.CrossEntropyLoss()


def encert(x, y):
    xarxa.eval()
    with torch.no_grad():
        return (xarxa(x).argmax(1) == y).float().mean().item()


for epoca in range(1, 11):
    xarxa.train()
    for xb, yb in lots:
        optim.zero_grad()
        cost = perdua(xarxa(xb), yb)
        cost.backward()
        optim.step()
    print(f"època {epoca}: cost {cost.item():.3f}, encert de validació {encert(x_val, y_val):.3f}")

print(f"encert final en la prova: {encert(x_prova, y_prova):.4f}")
