# Genus of a specimen from its photographs. Every specimen lies in its own tray
# and was photographed 18 times. A quarter of them look like another genus.
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

rng = np.random.default_rng(11)
torch.manual_seed(11)

N_SPECIMENS, PHOTOS, SIZE, N_GENERA = 120, 18, 24, 4

yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)


def mark(look, cx, cy):
    """Mask of the mark that a specimen shows, centred on cx, cy."""
    u, v = xx - cx, yy - cy
    d = np.hypot(u, v)
    if look == 0:
        return d < 4.5
    if look == 1:
        return (d > 4.0) & (d < 6.5)
    if look == 2:
        return ((np.abs(u) < 1.6) | (np.abs(v) < 1.6)) & (d < 7)
    return (d < 7) & (np.floor(v / 2) % 2 == 0)


def photograph(look, tray):
    img = tray.copy()
    cx, cy = SIZE / 2 + rng.uniform(-2, 2, 2)
    img[:, mark(look, cx, cy)] = rng.uniform(0.9, 1.0)
    img *= rng.uniform(0.9, 1.1)
    return img + rng.normal(0, 0.05, img.shape)


genus = rng.integers(0, N_GENERA, N_SPECIMENS)
odd = rng.random(N_SPECIMENS) < 0.25
look = np.where(odd, (genus + rng.integers(1, N_GENERA, N_SPECIMENS)) % N_GENERA, genus)
trays = rng.uniform(0.1, 0.7, (N_SPECIMENS, 3, 6, 6)).repeat(4, axis=2).repeat(4, axis=3)

specimen = np.repeat(np.arange(N_SPECIMENS), PHOTOS)
X = np.stack([photograph(look[s], trays[s]) for s in specimen]).astype(np.float32)
Y = genus[specimen].astype(np.int64)

is_test = (rng.random(N_SPECIMENS) < 0.25)[specimen]

mean = X[~is_test].mean(axis=(0, 2, 3), keepdims=True)
std = X[~is_test].std(axis=(0, 2, 3), keepdims=True)
X = (X - mean) / std
x_train, y_train = torch.from_numpy(X[~is_test]), torch.from_numpy(Y[~is_test])
x_test, y_test = torch.from_numpy(X[is_test]), torch.from_numpy(Y[is_test])
print("photographs:", len(x_train), "train,", len(x_test), "test")

net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 6 * 6, 64),
    nn.ReLU(),
    nn.Linear(64, N_GENERA),
)
opt = torch.optim.Adam(net.parameters(), lr=1.5e-3)

BATCH, EPOCHS = 32, 6
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(len(x_train))
    losses = []
    for start in range(0, len(order) - BATCH + 1, BATCH):
        idx = order[start:start + BATCH]
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: loss {np.mean(losses):.4f}")

net.eval()
with torch.no_grad():
    guess = torch.cat([net(part).argmax(1) for part in x_test.split(200)])
print(f"accuracy: {(guess == y_test).float().mean().item():.3f}")
