"""Leaf species from scanned herbarium sheets.

The archive is laid out as  species / sheet / side / crop.png : a sheet carries one plant, both
sides of it were scanned, and from each scan a few leaves were cut out.
"""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset

SPECIES = ["acer", "betula", "corylus", "fagus", "tilia"]
SIDE = 28
EPOCHS = 12


# ---------------------------------------------------------------- archive
def draw_leaf(shape, look, rng):
    aspect, teeth, depth, tip = shape
    paper, blade, stain = look
    angle = rng.normal(0, 0.25)
    cy, cx = SIDE / 2 + rng.normal(0, 1.2, 2)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    y, x = yy - cy, xx - cx
    u = np.cos(angle) * x + np.sin(angle) * y
    v = (-np.sin(angle) * x + np.cos(angle) * y) * aspect
    theta = np.arctan2(v, u)
    radius = rng.uniform(8.6, 10.6) * (1 + depth * np.cos(teeth * theta) + tip * np.cos(theta))
    inside = np.clip(radius - np.hypot(u, v) + 0.5, 0, 1)[..., None]
    img = paper * (1 - inside) + blade * inside + 0.9 * stain[..., None]
    img = img * rng.uniform(0.9, 1.1) + rng.normal(0, 0.05, img.shape)
    return Image.fromarray((img.clip(0, 1) * 255).astype(np.uint8))


def make_archive(root, sheets=20, crops=5, seed=3):
    rng = np.random.default_rng(seed)
    typical = [(1.1, 5, 0.2, 0.05), (1.5, 3, 0.04, 0.28), (1.0, 7, 0.1, 0.0), (1.75, 2, 0.06, 0.05),
               (1.05, 3, 0.14, 0.1)]
    for species, (aspect, teeth, depth, tip) in zip(SPECIES, typical):
        for s in range(sheets):
            shape = (aspect * rng.lognormal(0, 0.07), teeth, depth * rng.lognormal(0, 0.2),
                     tip + rng.normal(0, 0.025))
            paper = np.array([0.8, 0.76, 0.66]) + rng.normal(0, 0.045, 3)
            blade = np.array([0.4, 0.42, 0.24]) + rng.normal(0, 0.07, 3)
            stain = gaussian_filter(rng.normal(0, 1, (SIDE, SIDE)), 4)
            stain *= 0.1 / stain.std()
            for side in ("adaxial", "abaxial"):
                folder = root / species / f"sheet_{s:03d}" / side
                folder.mkdir(parents=True)
                tone = 0.05 * (side == "abaxial")
                for c in range(crops):
                    draw_leaf(shape, (paper, blade + tone, stain), rng).save(folder / f"crop_{c}.png")


# ---------------------------------------------------------------- data
def specimen(path):
    return path.parent


def split_archive(root, seed, share_val=0.15, share_test=0.25):
    """Whole specimens go to one part, species by species."""
    rnd = random.Random(seed)
    parts = {"train": [], "val": [], "test": []}
    for species in SPECIES:
        files = sorted((root / species).rglob("*.png"))
        specimens = sorted({specimen(f) for f in files})
        rnd.shuffle(specimens)
        n_test, n_val = round(share_test * len(specimens)), round(share_val * len(specimens))
        held = {s: "test" for s in specimens[:n_test]}
        held.update({s: "val" for s in specimens[n_test:n_test + n_val]})
        for f in files:
            parts[held.get(specimen(f), "train")].append(f)
    return parts


class Leaves(Dataset):
    def __init__(self, files, mean=None, std=None, flip=False):
        pixels = np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        self.mean = x.mean((0, 2, 3), keepdim=True) if mean is None else mean
        self.std = x.std((0, 2, 3), keepdim=True) if std is None else std
        self.x = (x - self.mean) / self.std
        self.y = torch.tensor([SPECIES.index(f.parents[2].name) for f in files])
        self.flip = flip

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.flip and torch.rand(()) < 0.5:
            x = x.flip(1)                       # up-down: a mirrored leaf is the same species
        return x, self.y[i]


# ---------------------------------------------------------------- network
def make_net():
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(48, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 7 * 7, len(SPECIES)))


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    hits = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        make_archive(root)
        parts = split_archive(root, seed=1)
        train = Leaves(parts["train"], flip=True)
        val = Leaves(parts["val"], train.mean, train.std)
        test = Leaves(parts["test"], train.mean, train.std)
    train_loader = DataLoader(train, 32, shuffle=True, drop_last=True)
    val_loader, test_loader = DataLoader(val, 128), DataLoader(test, 128)

    net = make_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    best, kept = -1.0, None
    for epoch in range(EPOCHS):
        net.train()
        for x, y in train_loader:
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        acc = accuracy(net, val_loader)
        print(f"epoch {epoch + 1}: validation {acc:.3f}")
        if acc > best:
            best, kept = acc, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(kept)
    print(f"test accuracy {accuracy(net, test_loader):.4f}")


if __name__ == "__main__":
    main()
