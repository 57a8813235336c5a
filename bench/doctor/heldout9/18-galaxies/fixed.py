# Morphology of small galaxy stamps: elliptical, edge-on disc, and the two winding
# senses of spirals (S-wise and Z-wise), as in Galaxy Zoo.
import numpy as np
import torch
from torch import nn

torch.manual_seed(3)
rng = np.random.default_rng(3)
device = "cuda" if torch.cuda.is_available() else "cpu"

CLASSES = ["elliptical", "edge-on", "spiral S", "spiral Z"]
N_TRAIN, N_TEST, PIX = 1000, 400, 40

yy, xx = np.mgrid[0:PIX, 0:PIX].astype(np.float32)


def stamp(kind):
    cx, cy = PIX / 2 + rng.normal(0, 1.2, 2)
    pa = rng.uniform(0, np.pi)
    q = {0: rng.uniform(0.6, 1.0), 1: rng.uniform(0.12, 0.3)}.get(kind, rng.uniform(0.75, 1.0))
    u = (xx - cx) * np.cos(pa) + (yy - cy) * np.sin(pa)
    v = (-(xx - cx) * np.sin(pa) + (yy - cy) * np.cos(pa)) / q
    r = np.hypot(u, v) + 0.3
    h = rng.uniform(4.5, 7.0)
    if kind == 0:
        light = np.exp(-1.8 * (r / h) ** 0.6)
    elif kind == 1:
        light = np.exp(-r / h) + 0.3 * np.exp(-(r / 2.5) ** 2)
    else:
        wind = 1 if kind == 2 else -1
        arms = np.cos(2 * np.arctan2(v, u) + wind * rng.uniform(3.2, 5.0) * np.log(r) + rng.uniform(0, 6.28))
        light = np.exp(-r / (1.4 * h)) * (0.55 + 0.45 * arms) + 0.8 * np.exp(-(r / 2.5) ** 2)
    light = light / light.max() * rng.uniform(0.7, 1.0)
    for _ in range(rng.poisson(1.5)):                       # foreground stars
        sx, sy = rng.uniform(0, PIX, 2)
        light = light + rng.uniform(0.2, 0.8) * np.exp(-((xx - sx) ** 2 + (yy - sy) ** 2) / 1.5)
    light = light + rng.normal(0, 0.05, light.shape)
    return np.arcsinh(5 * light) / np.arcsinh(5.0)


def catalogue(n):
    kinds = rng.integers(0, 4, n)
    return (torch.tensor(np.stack([stamp(k) for k in kinds]), dtype=torch.float32)[:, None],
            torch.tensor(kinds))


x_train, y_train = catalogue(N_TRAIN)
x_test, y_test = catalogue(N_TEST)
mu, sd = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sd, (x_test - mu) / sd


def reorient(batch):
    # there is no up or down on the sky
    out = []
    for img in batch:
        k = int(torch.randint(4, ()))
        img = torch.rot90(img, k, (1, 2))
        out.append(img)
    return torch.stack(out)


def conv(cin, cout):
    return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]


net = nn.Sequential(
    *conv(1, 16), nn.MaxPool2d(2),
    *conv(16, 32), nn.MaxPool2d(2),
    *conv(32, 48), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(48 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, len(CLASSES)),
).to(device)
optimiser = torch.optim.Adam(net.parameters(), lr=1.5e-3)
criterion = nn.CrossEntropyLoss()

BATCH = 40
for epoch in range(6):
    net.train()
    order = torch.randperm(N_TRAIN)
    running = 0.0
    for start in range(0, N_TRAIN, BATCH):
        pick = order[start:start + BATCH]
        xb, yb = reorient(x_train[pick]).to(device), y_train[pick].to(device)
        optimiser.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        optimiser.step()
        running += loss.item() * len(pick)
    print(f"epoch {epoch}: training loss {running / N_TRAIN:.3f}")

net.eval()
with torch.no_grad():
    guess = torch.cat([net(chunk.to(device)).argmax(1).cpu() for chunk in x_test.split(100)])
for k, name in enumerate(CLASSES):
    print(f"  {name:<10} {(guess[y_test == k] == k).float().mean():.3f}")
print(f"accuracy: {(guess == y_test).float().mean():.3f}")
