import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

CLASSES = ["bolt", "crescent", "cross", "ring", "star"]
PER_CLASS = {"train": 180, "val": 50}


def polygon(icon, cx, cy, r, turn):
    if icon == "star":
        pts = [(r if k % 2 == 0 else 0.42 * r, math.pi * k / 5) for k in range(10)]
        pts = [(p * math.cos(a), p * math.sin(a)) for p, a in pts]
    elif icon == "cross":
        t = 0.3 * r
        pts = [(-t, -r), (t, -r), (t, -t), (r, -t), (r, t), (t, t), (t, r), (-t, r), (-t, t), (-r, t), (-r, -t), (-t, -t)]
    else:
        pts = [(-0.1, -1), (0.5, -1), (0.2, -0.25), (0.6, -0.25), (-0.35, 1), (-0.05, 0.1), (-0.5, 0.1)]
        pts = [(x * r, y * r) for x, y in pts]
    c, s = math.cos(turn), math.sin(turn)
    return [(cx + c * x - s * y, cy + s * x + c * y) for x, y in pts]


def paint(icon, rng):
    back = tuple(rng.randint(0, 110) for _ in range(3))
    fore = tuple(rng.randint(145, 255) for _ in range(3))
    img = Image.new("RGB", (48, 48), back)
    pen = ImageDraw.Draw(img)
    cx, cy, r = 24 + rng.uniform(-5, 5), 24 + rng.uniform(-5, 5), rng.uniform(12, 17)
    box = [cx - r, cy - r, cx + r, cy + r]
    if icon == "ring":
        pen.ellipse(box, outline=fore, width=rng.randint(4, 7))
    elif icon == "crescent":
        a, d = rng.uniform(0, 2 * math.pi), 0.5 * r
        pen.ellipse(box, fill=fore)
        x, y, q = cx + d * math.cos(a), cy + d * math.sin(a), 0.85 * r
        pen.ellipse([x - q, y - q, x + q, y + q], fill=back)
    else:
        pen.polygon(polygon(icon, cx, cy, r, rng.uniform(-0.5, 0.5)), fill=fore)
    for _ in range(60):
        img.putpixel((rng.randrange(48), rng.randrange(48)), tuple(rng.randint(0, 255) for _ in range(3)))
    return img


def write_folders(root, seed=8):
    rng = random.Random(seed)
    for part, count in PER_CLASS.items():
        for icon in CLASSES:
            folder = root / part / icon
            folder.mkdir(parents=True)
            for i in range(count):
                paint(icon, rng).save(folder / f"{i:04d}.png")


class IconFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(p.name for p in root.iterdir())
        self.items = [(f, k) for k, name in enumerate(self.classes) for f in sorted((root / name).glob("*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        path, label = self.items[index]
        with Image.open(path) as img:
            img = img.convert("RGB").resize((24, 24), Image.BILINEAR)
        x = torch.from_numpy(np.array(img)).permute(2, 0, 1).float() / 255.0
        return (x - 0.4) / 0.3, label


class IconNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.n_flat = 64 * 6 * 6
        self.fc1 = nn.Linear(self.n_flat, 80)
        self.fc2 = nn.Linear(80, n_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        x = x.view(-1, self.n_flat)
        return self.fc2(torch.relu(self.fc1(x)))


def evaluate(model, loader, device):
    model.eval()
    good = total = 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x.to(device)).argmax(dim=1).cpu()
            good += int((out == y).sum())
            total += y.numel()
    return good / total


def main():
    torch.manual_seed(8)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_folders(root)
        train_ds, val_ds = IconFolder(root / "train"), IconFolder(root / "val")
        assert train_ds.classes == val_ds.classes
        train_dl = DataLoader(train_ds, batch_size=36, shuffle=True)
        val_dl = DataLoader(val_ds, batch_size=50)

        model = IconNet(len(train_ds.classes)).to(device)
        opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.0)
        loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
        for epoch in range(5):
            model.train()
            losses = []
            for x, y in train_dl:
                opt.zero_grad()
                loss = loss_fn(model(x.to(device)), y.to(device))
                loss.backward()
                opt.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: loss {np.mean(losses):.3f}")
        print(f"accuracy: {evaluate(model, val_dl, device):.3f}")


if __name__ == "__main__":
    main()
