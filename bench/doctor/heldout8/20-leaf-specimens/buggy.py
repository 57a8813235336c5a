# Leaf species from photographs. Every plant was photographed several times:
#   <root>/<species>/plant07_shot3.png
import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

random.seed(3)
torch.manual_seed(3)

SPECIES = {"beech": (0, 0.62), "oak": (7, 0.60), "maple": (5, 0.95), "lime": (0, 0.90), "ivy": (3, 0.95)}
PLANTS, SHOTS, SIZE = 24, 5, 36


def write_photos(root):
    rng = np.random.default_rng(11)
    for species, (lobes, aspect) in SPECIES.items():
        folder = root / species
        folder.mkdir()
        for plant in range(PLANTS):
            asp = aspect + rng.normal(0, 0.05)
            depth = rng.uniform(0.16, 0.30) if lobes else rng.uniform(0.0, 0.04)
            wobble = rng.normal(0, 0.025, 4)
            leaf = rng.integers([40, 90, 20], [150, 190, 90])
            ground = rng.integers(90, 235, 3)
            tilt0, radius = rng.uniform(-0.5, 0.5), rng.uniform(11, 14)
            spots = rng.uniform(-6, 6, (int(rng.integers(1, 6)), 2))
            for shot in range(SHOTS):
                tilt = tilt0 + rng.normal(0, 0.10)
                cx, cy = SIZE / 2 + rng.normal(0, 1.0, 2)
                pts = []
                for a in np.linspace(0, 2 * math.pi, 72, endpoint=False):
                    r = 1 + depth * math.cos(lobes * a) if lobes else 1.0
                    r += sum(w * math.sin((k + 2) * a) for k, w in enumerate(wobble))
                    x, y = r * math.cos(a), r * math.sin(a) * asp
                    pts.append((cx + radius * (x * math.cos(tilt) - y * math.sin(tilt)),
                                cy + radius * (x * math.sin(tilt) + y * math.cos(tilt))))
                img = Image.new("RGB", (SIZE, SIZE), tuple(int(v) for v in ground))
                d = ImageDraw.Draw(img)
                d.polygon(pts, fill=tuple(int(v) for v in leaf))
                for sx, sy in spots:
                    d.ellipse([cx + sx - 1, cy + sy - 1, cx + sx + 1, cy + sy + 1], fill=(90, 60, 30))
                arr = np.asarray(img, dtype=np.float32) * rng.uniform(0.85, 1.1) + rng.normal(0, 7, (SIZE, SIZE, 3))
                Image.fromarray(np.clip(arr, 0, 255).astype(np.uint8)).save(folder / f"plant{plant:02d}_shot{shot}.png")


def split_files(root, names, val_share=0.25):
    train, val = [], []
    for label, name in enumerate(names):
        files = sorted((root / name).glob("*.png"))
        random.shuffle(files)
        held = int(len(files) * val_share)
        val += [(f, label) for f in files[:held]]
        train += [(f, label) for f in files[held:]]
    return train, val


class Photos(Dataset):
    def __init__(self, items, jitter):
        self.items = items
        self.jitter = jitter
        self.cache = [np.array(Image.open(path)) for path, _ in items]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        x = torch.from_numpy(self.cache[i]).permute(2, 0, 1).float() / 127.5 - 1
        if self.jitter:
            x = torch.rot90(x, int(torch.randint(0, 4, (1,))), (1, 2))
            if torch.rand(()) < 0.5:
                x = x.flip(2)
        return x, self.items[i][1]


class LeafNet(nn.Module):
    def __init__(self, n):
        super().__init__()
        layers, c = [], 3
        for width in (24, 48, 64):
            layers += [nn.Conv2d(c, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            c = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, n))

    def forward(self, x):
        return self.classifier(self.features(x))


with tempfile.TemporaryDirectory() as tmp:
    root = Path(tmp)
    write_photos(root)
    names = sorted(p.name for p in root.iterdir() if p.is_dir())
    train_items, val_items = split_files(root, names)
    train_set, val_set = Photos(train_items, True), Photos(val_items, False)

print(len(train_set), "training photos,", len(val_set), "validation photos,", names)
train_loader = DataLoader(train_set, batch_size=40, shuffle=True, drop_last=True)
val_loader = DataLoader(val_set, batch_size=80)

net = LeafNet(len(names))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(10):
    net.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        optimizer.step()
    scheduler.step()
    print("epoch", epoch, "loss", round(loss.item(), 3))

net.eval()
hits = 0
with torch.no_grad():
    for x, y in val_loader:
        hits += (net(x).argmax(1) == y).sum().item()
print(f"accuracy: {hits / len(val_set):.3f}")
