"""Dice: count the pips (1..6) on a photographed-looking die."""

import numpy as np
import torch
from torch import nn

PIPS = {
    1: [(1, 1)],
    2: [(0, 0), (2, 2)],
    3: [(0, 0), (1, 1), (2, 2)],
    4: [(0, 0), (0, 2), (2, 0), (2, 2)],
    5: [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)],
    6: [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (2, 2)],
}


def roll(rng):
    n = int(rng.integers(1, 7))
    img = np.full((21, 21), rng.uniform(40, 90))
    top, left = rng.integers(0, 5, 2)
    img[top : top + 17, left : left + 17] = rng.uniform(110, 140)
    pips = PIPS[n]
    if rng.random() < 0.5:
        pips = [(c, 2 - r) for r, c in pips]
    for r, c in pips:
        a, b = top + 2 + 5 * r, left + 2 + 5 * c
        img[a : a + 3, b : b + 3] = rng.uniform(170, 200)
    img += rng.normal(0, 12, img.shape)
    return img.clip(0, 255).astype(np.uint8), n - 1


def make_arrays(count, seed):
    rng = np.random.default_rng(seed)
    pairs = [roll(rng) for _ in range(count)]
    return np.stack([p[0] for p in pairs]), np.array([p[1] for p in pairs])


train_img, train_lab = make_arrays(1400, seed=100)
val_img, val_lab = make_arrays(400, seed=200)
MEAN = float(train_img.mean()) / 255
STD = float(train_img.std()) / 255


def minibatches(images, labels, size, rng):
    order = rng.permutation(len(images))
    for start in range(0, len(order), size):
        sel = order[start : start + size]
        x = images[sel, None].astype(np.float32) / 255
        x = (x - MEAN) / STD
        yield torch.from_numpy(x), torch.from_numpy(labels[sel])


def predict(net, images):
    x = torch.from_numpy(images[:, None].astype(np.float32) / 255)
    net.eval()
    with torch.no_grad():
        return net(x).argmax(1).numpy()


torch.manual_seed(0)
rng = np.random.default_rng(0)
net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * 25, 48),
    nn.ReLU(),
    nn.Linear(48, 6),
)
loss_function = nn.CrossEntropyLoss()
optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(7):
    net.train()
    losses = []
    for x, y in minibatches(train_img, train_lab, 50, rng):
        optimiser.zero_grad()
        loss = loss_function(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    print(f"epoch {epoch}  loss {np.mean(losses):.3f}")

print(f"accuracy: {(predict(net, val_img) == val_lab).mean():.3f}")
