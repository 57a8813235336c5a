# morphology of galaxies from survey cutouts
# (neighbouring survey tiles overlap, so that the catalogue lists some objects more than once)

import hashlib

import numpy as np
import torch
from scipy import ndimage
from torch import nn

rng = np.random.default_rng(77)
torch.manual_seed(77)

TYPES = ["elliptical", "spiral", "edge-on", "ring"]
N_OBJECTS, N_REPEATED, SIZE = 1500, 220, 26

# --- catalogue -----------------------------------------------------------------------------

grid = np.arange(SIZE) - (SIZE - 1) / 2


def cutout(kind):
    y, x = np.meshgrid(grid + rng.uniform(-2, 2), grid + rng.uniform(-2, 2), indexing="ij")
    pa = rng.uniform(0, np.pi)
    u, v = x * np.cos(pa) + y * np.sin(pa), -x * np.sin(pa) + y * np.cos(pa)
    scale = rng.uniform(3.0, 4.5)
    if kind == 0:
        light = np.exp(-np.hypot(u, v / rng.uniform(0.65, 1)) / scale * 1.5)
    elif kind == 1:
        r, th = np.hypot(u, v), np.arctan2(v, u)
        arms = np.cos(2 * th - rng.choice([-1, 1]) * 1.1 * r) + 1
        light = 0.6 * np.exp(-r / 2) + 0.5 * arms * np.exp(-((r - 5) / 3.5) ** 2)
    elif kind == 2:
        light = np.exp(-abs(u) / scale) * np.exp(-abs(v) / 0.9)
    else:
        r = np.hypot(u, v / rng.uniform(0.6, 1))
        light = 0.5 * np.exp(-r / 1.3) + 0.7 * np.exp(-((r - scale * 1.6) / 1.3) ** 2)
    seen = ndimage.gaussian_filter(light, rng.uniform(0.5, 0.9)) * rng.uniform(0.7, 1.6)
    return (seen + rng.normal(0, 0.14, seen.shape)).astype(np.float32)


types = rng.integers(0, len(TYPES), N_OBJECTS)
cutouts = np.stack([cutout(k) for k in types])
again = rng.choice(N_OBJECTS, N_REPEATED, replace=False)
listing = rng.permutation(np.concatenate([np.arange(N_OBJECTS), again]))
cutouts, types = cutouts[listing], types[listing]

# --- one entry per object ------------------------------------------------------------------

digests = np.array([hashlib.md5(c.tobytes()).hexdigest() for c in cutouts])
_, first = np.unique(digests, return_index=True)
unique = np.zeros(len(digests), dtype=bool)
unique[first] = True
print(f"catalogue: {len(cutouts)} entries, {unique.sum()} objects")

cutouts = np.arcsinh(cutouts[unique] / 0.3)
types = types[first]

# --- split and standardise -----------------------------------------------------------------

order = rng.permutation(len(cutouts))
i_test, i_val, i_train = np.split(order, [350, 550])
mu, sd = cutouts[i_train].mean(), cutouts[i_train].std()
X = torch.from_numpy((cutouts - mu) / sd).float()[:, None]
Y = torch.from_numpy(types)
print("types in training:", dict(zip(TYPES, np.bincount(types[i_train]).tolist())))

# --- network -------------------------------------------------------------------------------

net = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2), nn.GELU(), nn.AvgPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.GELU(), nn.AvgPool2d(2),
    nn.Flatten(), nn.Linear(32 * 36, 64), nn.GELU(), nn.Dropout(0.3),
    nn.Linear(64, len(TYPES)),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)


def fraction_right(idx):
    net.eval()
    with torch.no_grad():
        return (net(X[idx]).argmax(1) == Y[idx]).float().mean().item()


# --- training ------------------------------------------------------------------------------

for epoch in range(10):
    net.train()
    shuffled = rng.permutation(i_train)
    history = []
    for start in range(0, len(shuffled), 50):
        b = shuffled[start:start + 50]
        quarter_turns = int(rng.integers(4))
        opt.zero_grad()
        loss = loss_fn(net(torch.rot90(X[b], quarter_turns, (2, 3))), Y[b])
        loss.backward()
        opt.step()
        history.append(loss.item())
    print(f"epoch {epoch + 1:2d}   loss {np.mean(history):.3f}   validation {fraction_right(i_val):.3f}")

print(f"fraction of test galaxies classified correctly: {fraction_right(i_test):.4f}")
