"""Card suits and friends: a scene shows a few copies of one symbol among clutter. The net reads the scene tile by tile
with one shared encoder and judges the tiles' mean feature. Scenes lie as PNGs in one folder a class."""
import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

SYMBOLS = ["heart", "spade", "diamond", "star", "crescent", "ring"]


def paint(d, name, cx, cy, r, ink, paper):
    if name in ("heart", "spade"):
        s = 1 if name == "heart" else -1
        for o in (-.5, .5):
            d.ellipse((cx + (o - .5) * r, cy - (.5 * s + .5) * r, cx + (o + .5) * r, cy - (.5 * s - .5) * r), fill=ink)
        d.polygon([(cx - .95 * r, cy - .25 * s * r), (cx + .95 * r, cy - .25 * s * r), (cx, cy + s * r)], fill=ink)
        if s < 0:
            d.rectangle((cx - .15 * r, cy, cx + .15 * r, cy + r), fill=ink)
    elif name == "diamond":
        d.polygon([(cx, cy - r), (cx + .7 * r, cy), (cx, cy + r), (cx - .7 * r, cy)], fill=ink)
    elif name == "star":
        pts = [(cx + q * r * math.sin(k * math.pi / 5), cy - q * r * math.cos(k * math.pi / 5))
               for k in range(10) for q in [1 if k % 2 == 0 else .42]]
        d.polygon(pts, fill=ink)
    elif name == "crescent":
        d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=ink)
        d.ellipse((cx - .4 * r, cy - .9 * r, cx + 1.4 * r, cy + .9 * r), fill=paper)
    else:
        d.ellipse((cx - r, cy - r, cx + r, cy + r), outline=ink, width=max(2, int(r / 3)))


def write_scenes(root, per_class):
    rnd = random.Random(8)
    for name in SYMBOLS:
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            paper = tuple(rnd.randint(140, 255) for _ in range(3))
            im = Image.new("RGB", (96, 96), paper)
            d = ImageDraw.Draw(im)
            for _ in range(6):
                x, y = rnd.uniform(0, 96), rnd.uniform(0, 96)
                d.line((x, y, x + rnd.uniform(-16, 16), y + rnd.uniform(-16, 16)),
                       fill=tuple(rnd.randint(60, 200) for _ in range(3)), width=2)
            for cell in rnd.sample(range(4), 3):
                ink = tuple(rnd.randint(0, 110) for _ in range(3))
                paint(d, name, 48 * (cell % 2) + rnd.uniform(19, 29), 48 * (cell // 2) + rnd.uniform(19, 29),
                      rnd.uniform(13, 18), ink, paper)
            im.resize((40, 40), Image.BILINEAR).save(root / name / f"{i:04d}.png")


class SceneFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(p.name for p in root.iterdir())
        self.items = [(f, k) for k, c in enumerate(self.classes) for f in sorted((root / c).glob("*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        a = np.array(Image.open(path), dtype=np.float32) / 127.5 - 1
        return torch.from_numpy(a).permute(2, 0, 1), label


class TileNet(nn.Module):
    def __init__(self, classes, tiles=2, dim=48):
        super().__init__()
        self.tiles = tiles
        self.dim = dim
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 5 * 5, dim), nn.ReLU())
        self.out = nn.Linear(dim, classes)

    def forward(self, x):
        b, c, h, w = x.shape
        t = self.tiles
        x = x.reshape(b, c, t, h // t, t, w // t).permute(0, 2, 4, 1, 3, 5)
        f = self.encoder(x.reshape(b * t * t, c, h // t, w // t))
        f = f.view(t * t, b, self.dim).mean(0)
        return self.out(f)


def accuracy(net, loader, device):
    net.eval()
    n = hits = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (net(x.to(device)).argmax(1) == y.to(device)).sum().item()
            n += len(y)
    return hits / n


def main():
    torch.manual_seed(4)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp) / "scenes"
        write_scenes(root, 200)
        data = SceneFolder(root)
        order = torch.randperm(len(data)).tolist()
        cut = int(.8 * len(data))
        train = DataLoader(Subset(data, order[:cut]), batch_size=32, shuffle=True)
        test = DataLoader(Subset(data, order[cut:]), batch_size=64)
        net = TileNet(len(data.classes)).to(device)
        opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
        for epoch in range(4):
            net.train()
            total = 0.0
            for x, y in train:
                loss = nn.functional.cross_entropy(net(x.to(device)), y.to(device))
                opt.zero_grad()
                loss.backward()
                opt.step()
                total += loss.item()
            print(f"epoch {epoch}: {total / len(train):.3f}")
        print(f"accuracy: {accuracy(net, test, device):.3f}")


if __name__ == "__main__":
    main()
