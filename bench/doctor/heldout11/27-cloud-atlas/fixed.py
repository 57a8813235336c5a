"""Cloud atlas: photographs of the sky are kept as PNG files, one folder per genus."""
import os
import tempfile
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn as nn
from PIL import Image
from torch.utils.data import DataLoader, Dataset

GENERA = ["altocumulus", "cirrus", "cumulonimbus", "cumulus", "stratus"]
cfg = SimpleNamespace(size=24, per_class=dict(train=280, test=100), epochs=7, batch=40, lr=0.05, decay=0.12, seed=8)


# ---------------------------------------------------------------- pictures
def noise(rng, cells_y, cells_x, size):
    coarse = rng.random((cells_y, cells_x)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse, mode="F").resize((size, size), Image.BICUBIC))


def paint(genus, rng, size):
    v = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    u = np.linspace(0, 1, size, dtype=np.float32)[None, :]
    if genus == "altocumulus":
        k, a, b = rng.uniform(20, 28), rng.uniform(0, 6), rng.uniform(0, 6)
        cover = 0.5 + 0.5 * np.sin(k * u + a) * np.sin(k * v + b)
    elif genus == "cirrus":
        cover = noise(rng, 14, 3, size) ** 2
        cover = np.roll(cover, rng.integers(size), 0)
    elif genus == "stratus":
        cover = 0.35 + 0.5 * noise(rng, 4, 2, size) * np.ones_like(u)
    elif genus == "cumulus":
        cover = np.zeros((size, size), np.float32)
        for _ in range(3):
            cx, cy, r = rng.uniform(0.1, 0.9), rng.uniform(0.3, 0.8), rng.uniform(0.12, 0.2)
            cover = np.maximum(cover, (np.hypot(u - cx, (v - cy) * 1.3) < r) & (v < cy + 0.06))
    else:
        cx, w = rng.uniform(0.35, 0.65), rng.uniform(0.12, 0.2)
        tower = (np.abs(u - cx) < w) & (v > 0.25)
        anvil = (np.abs(u - cx) < 2.4 * w) & (np.abs(v - 0.22) < 0.09)
        cover = (tower | anvil).astype(np.float32)
    cover = cover * rng.uniform(0.5, 0.9) + 0.25 * (noise(rng, 6, 6, size) - 0.5)
    blue = np.array([0.35, 0.5, 0.75], np.float32) * rng.uniform(0.8, 1.1)
    sky = blue * (0.75 + 0.25 * v[..., None]) * (1 - cover[..., None]) + cover[..., None]
    sky = sky + rng.normal(0, 0.17, sky.shape)
    return Image.fromarray((np.clip(sky, 0, 1) * 255).astype(np.uint8))


def write_atlas(root):
    rng = np.random.default_rng(cfg.seed)
    for split, count in cfg.per_class.items():
        for genus in GENERA:
            folder = os.path.join(root, split, genus)
            os.makedirs(folder)
            for i in range(count):
                paint(genus, rng, cfg.size).save(os.path.join(folder, f"{i:04d}.png"))


class AtlasFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(os.listdir(root))
        self.samples = []
        for label, name in enumerate(self.classes):
            for file in sorted(os.listdir(os.path.join(root, name))):
                with Image.open(os.path.join(root, name, file)) as im:
                    pixels = torch.from_numpy(np.array(im, dtype=np.float32)).permute(2, 0, 1) / 255
                self.samples.append((pixels, label))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        pixels, label = self.samples[i]
        return (pixels - 0.55) / 0.25, label


# ---------------------------------------------------------------- network
class Residual(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(ch, ch, 3, padding=1, bias=False), nn.BatchNorm2d(ch), nn.ReLU(),
            nn.Conv2d(ch, ch, 3, padding=1, bias=False), nn.BatchNorm2d(ch),
        )

    def forward(self, x):
        return torch.relu(x + self.branch(x))


class CloudNet(nn.Module):
    def __init__(self, classes, ch=20):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, ch, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(ch), nn.ReLU())
        self.layers = nn.Sequential(Residual(ch), nn.MaxPool2d(2), Residual(ch))
        self.head = nn.Linear(ch * 36, classes)

    def forward(self, x):
        return self.head(self.layers(self.stem(x)).flatten(1))


def param_groups(net, decay):
    shrink, keep = [], []
    for name, p in net.named_parameters():
        if p.ndim == 1:
            keep.append(p)
        else:
            shrink.append(p)
    return [{"params": shrink, "weight_decay": decay}, {"params": keep, "weight_decay": 0.0}]


# ---------------------------------------------------------------- run
def run(root):
    train_set = AtlasFolder(os.path.join(root, "train"))
    test_set = AtlasFolder(os.path.join(root, "test"))
    train_loader = DataLoader(train_set, cfg.batch, shuffle=True)
    test_loader = DataLoader(test_set, 100)
    net = CloudNet(len(train_set.classes))
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(param_groups(net, cfg.decay), lr=cfg.lr, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cfg.epochs * len(train_loader))
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch + 1}/{cfg.epochs}  loss {total / len(train_set):.4f}")
    net.eval()
    with torch.no_grad():
        hits = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"test accuracy {hits / len(test_set):.3f}")


if __name__ == "__main__":
    torch.manual_seed(cfg.seed)
    with tempfile.TemporaryDirectory() as root:
        write_atlas(root)
        run(root)
