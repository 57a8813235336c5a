"""Weather symbols cut out of forecast maps; each split has a manifest (file,label)."""
import csv
import math
import os
import random
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIDE = 32


def symbol(kind, rnd):
    k = 3
    n = SIDE * k
    sky = tuple(rnd.randint(120, 220) for _ in range(3))
    im = Image.new("RGB", (n, n), sky)
    d = ImageDraw.Draw(im)
    cx, cy = n / 2 + rnd.uniform(-9, 9), n / 2 + rnd.uniform(-9, 9)
    r = rnd.uniform(17, 23)
    ink = tuple(rnd.randint(0, 70) for _ in range(3))

    def puff(y):
        for ox, q in ((-0.8, 0.6), (0.0, 0.85), (0.8, 0.55)):
            d.ellipse([cx + ox * r - q * r, y - q * r, cx + ox * r + q * r, y + q * r * 0.7], fill=ink)

    if kind == "sunny":
        d.ellipse([cx - r * 0.6, cy - r * 0.6, cx + r * 0.6, cy + r * 0.6], fill=ink)
        for i in range(8):
            a = i * math.pi / 4 + 0.2
            d.line([cx + r * 0.85 * math.cos(a), cy + r * 0.85 * math.sin(a),
                    cx + r * 1.4 * math.cos(a), cy + r * 1.4 * math.sin(a)], fill=ink, width=5)
    elif kind == "clear night":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=ink)
        d.ellipse([cx - r * 0.3, cy - r * 1.1, cx + r * 1.5, cy + r * 0.7], fill=sky)
    elif kind == "overcast":
        puff(cy)
    elif kind == "rain":
        puff(cy - r * 0.5)
        for i in (-1, 0, 1):
            d.line([cx + i * r * 0.6, cy + r * 0.4, cx + i * r * 0.6 - 8, cy + r * 1.3], fill=ink, width=5)
    elif kind == "snow":
        puff(cy - r * 0.5)
        for i, j in ((-0.7, 0.5), (0.0, 0.9), (0.7, 0.5), (-0.4, 1.3), (0.5, 1.3)):
            x, y = cx + i * r, cy + j * r
            d.ellipse([x - 4, y - 4, x + 4, y + 4], fill=ink)
    elif kind == "thunder":
        puff(cy - r * 0.5)
        d.line([cx + 6, cy + r * 0.2, cx - 8, cy + r * 0.8, cx + 6, cy + r * 0.8, cx - 6, cy + r * 1.5],
               fill=ink, width=5)
    elif kind == "fog":
        for i in range(4):
            y = cy + (i - 1.5) * r * 0.55
            d.line([cx - r * 1.2, y, cx + r * 1.2, y], fill=ink, width=6)
    im = im.resize((SIDE, SIDE), Image.BILINEAR)
    a = np.asarray(im, dtype=np.float32) + np.random.default_rng(rnd.getrandbits(32)).normal(0, 12, (SIDE, SIDE, 3))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def export(root, split, count, seed):
    rnd = random.Random(seed)
    kinds = ["sunny", "clear night", "overcast", "rain", "snow", "thunder", "fog"]
    os.makedirs(os.path.join(root, split))
    with open(os.path.join(root, split + ".csv"), "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["file", "label"])
        for i in range(count):
            kind = rnd.choice(kinds)
            name = f"{split}/{i:05d}.png"
            symbol(kind, rnd).save(os.path.join(root, name))
            out.writerow([name, kind])


class ManifestDataset(Dataset):
    def __init__(self, root, manifest):
        with open(os.path.join(root, manifest), newline="") as f:
            self.rows = list(csv.DictReader(f))
        self.classes = list(dict.fromkeys(row["label"] for row in self.rows))
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.root = root

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        row = self.rows[i]
        with Image.open(os.path.join(self.root, row["file"])) as im:
            a = np.array(im.convert("RGB"))
        x = torch.from_numpy(a).permute(2, 0, 1).float().div_(255)
        return (x - 0.55) / 0.25, self.class_to_idx[row["label"]]


class Separable(nn.Sequential):
    def __init__(self, cin, cout, stride):
        super().__init__(
            nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin), nn.ReLU(inplace=True),
            nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


class TinyMobile(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True))
        self.body = nn.Sequential(Separable(24, 48, 1), Separable(48, 64, 2), Separable(64, 96, 1))
        self.head = nn.Linear(96, n_classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean(dim=(2, 3)))


def evaluate(model, loader):
    model.eval()
    hit = n = 0
    with torch.inference_mode():
        for x, y in loader:
            hit += (model(x).argmax(1) == y).sum().item()
            n += len(y)
    return hit / n


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        export(root, "train", 800, seed=31)
        export(root, "val", 280, seed=36)
        train_set = ManifestDataset(root, "train.csv")
        val_set = ManifestDataset(root, "val.csv")
        train_loader = DataLoader(train_set, batch_size=25, shuffle=True)
        val_loader = DataLoader(val_set, batch_size=100)

        model = TinyMobile(len(train_set.classes))
        optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
        loss_fn = nn.CrossEntropyLoss()
        for epoch in range(4):
            model.train()
            seen = 0.0
            for x, y in train_loader:
                optimizer.zero_grad()
                loss = loss_fn(model(x), y)
                loss.backward()
                optimizer.step()
                seen += loss.item() * len(y)
            schedule.step()
            print(f"epoch {epoch}  loss {seen / len(train_set):.3f}")
        print(f"accuracy: {evaluate(model, val_loader):.3f}")


if __name__ == "__main__":
    main()
