# %% [markdown]
# # Leaf shapes
# The scanner crops every leaf to its bounding box, so the images come in a handful of sizes.
# Here: letterbox them to a common canvas in the collate function and train a small CNN.

# %%
import time
from collections import defaultdict

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)
torch.manual_seed(2024)
SPECIES = ["linden", "maple", "willow", "ginkgo", "oak", "holly"]
SIZES = [(20, 20), (20, 28), (24, 24), (28, 20), (28, 28), (32, 24), (24, 32)]
CANVAS = 32
t0 = time.time()


# %%
def leaf(species, h, w, rng):
    """RGB crop of h x w pixels, values 0..1."""
    yy, xx = np.mgrid[:h, :w]
    y = (yy - h / 2 + rng.normal(0, 0.8)) / (h / 2)
    x = (xx - w / 2 + rng.normal(0, 0.8)) / (w / 2)
    turn = rng.normal(0, 0.3)
    x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    phi, r = np.arctan2(y, x), np.hypot(x, y)
    if species == 0:
        edge = 0.75 - 0.15 * np.sin(phi)
    elif species == 1:
        edge = 0.62 + 0.24 * np.cos(5 * (phi + np.pi / 2))
    elif species == 2:
        edge = 0.30 / np.sqrt(np.cos(phi) ** 2 + 0.12 * np.sin(phi) ** 2)
    elif species == 3:
        edge = np.where(np.abs(phi + np.pi / 2) < 1.25, 0.85, 0.22)
    elif species == 4:
        edge = 0.60 + 0.12 * np.cos(8 * phi) - 0.12 * np.cos(2 * phi)
    else:
        edge = 0.58 + 0.16 * np.abs(np.cos(4 * phi)) ** 4 - 0.18 * np.cos(2 * phi)
    mask = 1 / (1 + np.exp((r - edge * rng.uniform(0.85, 1.1)) * 14))
    vein = np.exp(-(x / 0.07) ** 2) * 0.15
    green = np.array([0.30, 0.50, 0.22]) + rng.normal(0, 0.08, 3)
    paper = np.array([0.80, 0.78, 0.72]) + rng.normal(0, 0.06, 3)
    img = mask[..., None] * (green + vein[..., None]) + (1 - mask[..., None]) * paper
    img = img * rng.uniform(0.6, 1.15) + rng.normal(0, 0.11, img.shape)
    return np.clip(img, 0, 1).astype(np.float32)


class Leaves(Dataset):
    def __init__(self, n, seed, stats=None):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, len(SPECIES), n)
        crops = [leaf(k, *SIZES[rng.integers(len(SIZES))], rng) for k in self.y]
        if stats is None:
            pixels = np.concatenate([c.reshape(-1, 3) for c in crops])
            stats = pixels.mean(0), pixels.std(0)
        self.stats = stats
        self.x = [torch.from_numpy((c - stats[0]) / stats[1]).float().permute(2, 0, 1) for c in crops]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], int(self.y[i])


# %%
def letterbox(samples):
    """Centre crops of different sizes on one canvas; the padding is 0, the mean colour."""
    images, labels = zip(*samples)
    canvas = torch.zeros(len(images), 3, CANVAS, CANVAS)
    by_size = defaultdict(list)
    for i, im in enumerate(images):
        by_size[tuple(im.shape[1:])].append(i)
    for (h, w), idx in by_size.items():  # one copy per size, not one per image
        top, left = (CANVAS - h) // 2, (CANVAS - w) // 2
        canvas[idx, :, top:top + h, left:left + w] = torch.stack([images[i] for i in idx])
    return canvas, torch.tensor(labels)


train_set = Leaves(1200, seed=1)
valid_set = Leaves(300, seed=2, stats=train_set.stats)
test_set = Leaves(500, seed=3, stats=train_set.stats)
train_dl = DataLoader(train_set, batch_size=48, shuffle=True, collate_fn=letterbox)
valid_dl = DataLoader(valid_set, batch_size=150, collate_fn=letterbox)
test_dl = DataLoader(test_set, batch_size=250, collate_fn=letterbox)
print(len(train_set), "training crops, e.g.", [tuple(train_set[i][0].shape) for i in range(3)])


# %%
def block(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.GELU(),
        nn.Conv2d(o, o, 3, padding=1, groups=o), nn.GELU(), nn.MaxPool2d(2),
    )


model = nn.Sequential(
    block(3, 16), block(16, 32), block(32, 48),
    nn.Flatten(), nn.Dropout(0.2), nn.Linear(48 * 4 * 4, len(SPECIES)),
)
print(sum(p.numel() for p in model.parameters()), "parameters")

# %%
EPOCHS = 8
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=EPOCHS * len(train_dl), power=1.0)


def evaluate(dl):
    model.eval()
    hits, loss = 0, 0.0
    with torch.no_grad():
        for x, y in dl:
            out = model(x)
            loss += loss_fn(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
    return loss / len(dl.dataset), hits / len(dl.dataset)


history = []
for epoch in range(EPOCHS):
    model.train()
    running = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
        sched.step()
        running += loss.item() * len(y)
    history.append((running / len(train_set), *evaluate(valid_dl)))
    print("epoch %d  train loss %.3f  valid loss %.3f  valid acc %.3f" % (epoch, *history[-1]))

# %%
print("%.0f s" % (time.time() - t0))
print("test accuracy", round(evaluate(test_dl)[1], 4))
