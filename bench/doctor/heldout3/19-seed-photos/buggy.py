# %% [markdown]
# # Seeds on a tray — which species?
# Few photographs, so every photograph is multiplied (brightness, small shift) before use.

# %%
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(42)
torch.manual_seed(42)
species = ["poppy", "barley", "lentil", "maize"]
S = 28

# %%
def photograph(k):
    """One tray photograph of a seed: aspect ratio, grain and tone depend on the species."""
    yy, xx = np.mgrid[:S, :S] - (S - 1) / 2.0
    a = rng.uniform(0, np.pi)
    u, v = xx * np.cos(a) + yy * np.sin(a), -xx * np.sin(a) + yy * np.cos(a)
    long, wide = [(5, 4.2), (9, 4), (7, 6), (9, 6.5)][k]
    long, wide = long * rng.uniform(.85, 1.15), wide * rng.uniform(.85, 1.15)
    inside = 1 / (1 + np.exp(4 * ((u / long) ** 2 + (v / wide) ** 2 - 1)))
    grain = np.cos(u * [2.2, .5, .1, .9][k] + rng.uniform(0, 6)) * 22
    tone = rng.uniform(70, 150)
    return 60 + inside * (tone + grain) + rng.normal(0, 18, (S, S))

count = 100
labels = np.repeat(np.arange(len(species)), count)
photos = np.stack([photograph(k) for k in labels]).clip(0, 255).astype(np.float32)
print(photos.shape, photos.mean(), photos.std())

# %%
def multiply(x, y, copies=3):
    """Each photograph `copies` times: the original, then variants of it."""
    xs, ys = [x], [y]
    for _ in range(copies - 1):
        gain = rng.uniform(0.9, 1.1, (len(x), 1, 1)).astype(np.float32)
        moved = np.stack([np.roll(im, tuple(rng.integers(-1, 2, 2)), axis=(0, 1)) for im in x])
        xs.append((moved * gain).clip(0, 255))
        ys.append(y)
    return np.concatenate(xs), np.concatenate(ys)


def split(x, y, share=0.25):
    """The same share of every species is put aside for validation."""
    order = rng.permutation(len(y))
    held = np.concatenate([order[y[order] == k][: int(share * (y == k).sum())] for k in range(len(species))])
    mask = np.zeros(len(y), dtype=bool)
    mask[held] = True
    return x[~mask], y[~mask], x[mask], y[mask]

# %%
photos, labels = multiply(photos, labels)
x_train, y_train, x_val, y_val = split(photos, labels)
mu, sd = x_train.mean(), x_train.std()
to_tensor = lambda x: torch.from_numpy((x - mu) / sd).float().unsqueeze(1)
x_train, x_val = to_tensor(x_train), to_tensor(x_val)
y_train, y_val = torch.from_numpy(y_train), torch.from_numpy(y_val)
print(len(y_train), "for training,", len(y_val), "for validation")

# %%
net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, len(species)),
)
optim = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.0)
loss_fn = nn.CrossEntropyLoss()

# %%
bs, epochs, history = 30, 7, []
plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, T_max=epochs)
for epoch in range(epochs):
    net.train()
    perm = torch.randperm(len(y_train))
    total = 0.0
    for i in range(0, len(perm) - bs + 1, bs):
        idx = perm[i:i + bs]
        loss = loss_fn(net(x_train[idx]), y_train[idx])
        optim.zero_grad()
        loss.backward()
        optim.step()
        total += loss.item()
    plan.step()
    history.append(total / (len(perm) // bs))
    print(f"epoch {epoch}  training loss {history[-1]:.3f}")

# %%
net.eval()
with torch.no_grad():
    guess = net(x_val).argmax(1)
for k, name in enumerate(species):
    print(f"{name:>8}: {(guess[y_val == k] == k).float().mean():.3f}")
print(f"accuracy: {(guess == y_val).float().mean().item():.3f}")
