"""Road-sign arrows from image folders: residual backbone with SGD, classifier head with AdamW."""
import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

DIRECTIONS = ["e", "se", "s", "sw", "w", "nw", "n", "ne", "uturn", "roundabout"]


def paint_sign(kind, rnd):
    s = 84
    ground = tuple(rnd.randint(60, 200) for _ in range(3))
    plate = (rnd.randint(0, 60), rnd.randint(40, 110), rnd.randint(150, 230))
    img = Image.new("RGB", (s, s), ground)
    d = ImageDraw.Draw(img)
    cx, cy, r = s / 2 + rnd.uniform(-6, 6), s / 2 + rnd.uniform(-6, 6), rnd.uniform(28, 35)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=plate)
    ink, width = (rnd.randint(205, 255),) * 3, rnd.randint(7, 9)

    def head(x, y, a, size):
        pts = [(x + size * math.cos(a + k), y + size * math.sin(a + k)) for k in (0, 2.3, -2.3)]
        d.polygon(pts, fill=ink)

    if kind == "uturn":
        q = 0.4 * r
        d.arc([cx - q, cy - q, cx + q, cy + q], 180, 360, fill=ink, width=width)
        d.line([cx + q - 3, cy, cx + q - 3, cy + 0.7 * r], fill=ink, width=width)
        head(cx - q + 3, cy + 6, math.pi / 2, 11)
    elif kind == "roundabout":
        q = 0.55 * r
        for k in range(3):
            a0 = 120 * k + rnd.uniform(-10, 10)
            d.arc([cx - q, cy - q, cx + q, cy + q], a0, a0 + 75, fill=ink, width=width - 2)
            t = math.radians(a0 + 80)
            head(cx + (q - 3) * math.cos(t), cy + (q - 3) * math.sin(t), t + math.pi / 2, 10)
    else:
        a = DIRECTIONS.index(kind) * math.pi / 4 + rnd.uniform(-0.22, 0.22)
        dx, dy = math.cos(a), math.sin(a)
        d.line([cx - 0.6 * r * dx, cy - 0.6 * r * dy, cx + 0.3 * r * dx, cy + 0.3 * r * dy], fill=ink, width=width)
        head(cx + 0.42 * r * dx, cy + 0.42 * r * dy, a, 13)
    return img.resize((28, 28), Image.BILINEAR)


def write_folders(root, split, per_class, seed):
    rnd = random.Random(seed)
    noise = np.random.default_rng(seed)
    for kind in DIRECTIONS:
        folder = root / split / kind
        folder.mkdir(parents=True)
        for i in range(per_class):
            a = np.asarray(paint_sign(kind, rnd), dtype=np.float32)
            a = (a * rnd.uniform(0.6, 1.1) + noise.normal(0, 14, a.shape)).clip(0, 255)
            Image.fromarray(a.astype(np.uint8)).save(folder / f"{i:04d}.png")


class SignFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(p.name for p in root.iterdir() if p.is_dir())
        self.items = [(f, k) for k, c in enumerate(self.classes) for f in sorted((root / c).glob("*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        with Image.open(path) as img:
            x = np.asarray(img.convert("RGB"), dtype=np.float32) / 255
        return torch.from_numpy((x - 0.45) / 0.25).permute(2, 0, 1).contiguous(), label


class Residual(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.short = nn.Conv2d(c_in, c_out, 1, stride) if stride != 1 or c_in != c_out else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.short(x) + self.conv2(self.act(self.conv1(x))))


def build():
    backbone = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                             Residual(16, 24, 1), Residual(24, 40, 2), nn.AdaptiveAvgPool2d(4), nn.Flatten())
    head = nn.Sequential(nn.Linear(40 * 16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, len(DIRECTIONS)))
    return backbone, head


def main():
    torch.manual_seed(5)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_folders(root, "train", 120, seed=1)
        write_folders(root, "test", 40, seed=2)
        train_set, test_set = SignFolder(root / "train"), SignFolder(root / "test")
        assert train_set.classes == test_set.classes
        train_dl = DataLoader(train_set, batch_size=40, shuffle=True)
        test_dl = DataLoader(test_set, batch_size=100)

        backbone, head = build()
        model = nn.Sequential(backbone, head).to(device)
        backbone_opt = torch.optim.SGD(backbone.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        head_opt = torch.optim.AdamW(head.parameters(), lr=1e-3)
        loss_fn = nn.CrossEntropyLoss()

        for epoch in range(6):
            model.train()
            total = 0.0
            for x, y in train_dl:
                x, y = x.to(device), y.to(device)
                loss = loss_fn(model(x), y)
                head_opt.zero_grad()
                loss.backward()
                backbone_opt.step()
                head_opt.step()
                total += loss.item() * len(y)
            print(f"epoch {epoch}: {total / len(train_set):.3f}")

        model.eval()
        hits = 0
        with torch.no_grad():
            for x, y in test_dl:
                hits += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
        print(f"accuracy: {hits / len(test_set):.3f}")


if __name__ == "__main__":
    main()
