import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn


def read_cifar(n):
    folder = os.getenv("TENFOLD_DATA")
    if folder:
        f = Path(folder) / "cifar10" / "cifar-10-batches-bin" / "data_batch_3.bin"
        rec = np.fromfile(f, np.uint8, count=n * 3073).reshape(n, 3073)
        return rec[:, 1:].reshape(n, 3, 32, 32), rec[:, 0].astype(np.int64)
    rng = np.random.default_rng(0)
    lab = rng.integers(0, 10, n)
    proto = rng.integers(60, 196, (10, 3, 8, 8))
    img = proto[lab].repeat(4, 2).repeat(4, 3) + rng.normal(0, 90, (n, 3, 32, 32))
    return img.clip(0, 255).astype(np.uint8), lab


def enlarge(img, lab, rng):
    """Mirror and shift: makes four images out of one."""
    parts = [img, img[..., ::-1]]
    for _ in range(2):
        dy, dx = rng.integers(-2, 3, 2)
        parts.append(np.roll(img, (dy, dx), axis=(2, 3)))
    return np.concatenate(parts), np.tile(lab, len(parts))


def prepare(img):
    x = torch.from_numpy(np.ascontiguousarray(img)).float().div_(255)
    x = nn.functional.avg_pool2d(x, 2)  # 16 x 16 is enough here
    return (x - 0.473) / 0.24


rng = np.random.default_rng(7)
torch.manual_seed(7)
img, lab = read_cifar(1600)
img, lab = enlarge(img, lab, rng)
order = rng.permutation(len(img))
cut = len(order) // 5
xv, yv = prepare(img[order[:cut]]), torch.from_numpy(lab[order[:cut]])
xt, yt = prepare(img[order[cut:]]), torch.from_numpy(lab[order[cut:]])
print("training", len(xt), "validation", len(xv))

net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(32 * 16, 64),
    nn.ReLU(),
    nn.Linear(64, 10),
)
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(6):
    net.train()
    for b in torch.randperm(len(xt)).split(50):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(xt[b]), yt[b])
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        val = (net(xv).argmax(1) == yv).float().mean().item()
    print("epoch %2d: loss %.3f, validation %.3f" % (epoch + 1, loss.item(), val))
print("accuracy: %.3f" % val)
