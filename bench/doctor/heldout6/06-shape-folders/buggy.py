"""Shape classifier trained from folders of PNG files (one folder per class)."""
import math
import os
import shutil
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SHAPES = ["bar", "circle", "cross", "hexagon", "ring", "square", "triangle"]


def polygon(cx, cy, r, sides, turn):
    return [(cx + r * math.cos(turn + 2 * math.pi * i / sides), cy + r * math.sin(turn + 2 * math.pi * i / sides))
            for i in range(sides)]


def draw_shape(name, rng, size=32):
    s = size * 2
    back, ink = rng.integers(0, 110, 3), rng.integers(140, 256, 3)
    im = Image.new("RGB", (s, s), tuple(int(v) for v in back))
    d = ImageDraw.Draw(im)
    ink = tuple(int(v) for v in ink)
    cx, cy = s / 2 + rng.uniform(-8, 8, 2)
    r, turn = rng.uniform(14, 22), rng.uniform(0, 2 * math.pi)
    if name == "circle":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=ink)
    elif name == "ring":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=ink, width=5)
    elif name in ("bar", "cross"):
        for k in range(1 if name == "bar" else 2):
            a = turn + k * math.pi / 2
            dx, dy = r * math.cos(a), r * math.sin(a)
            d.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=ink, width=9)
    else:
        d.polygon(polygon(cx, cy, r, {"triangle": 3, "square": 4, "hexagon": 6}[name], turn), fill=ink)
    a = np.asarray(im.resize((size, size), Image.BILINEAR), dtype=np.float32) + rng.normal(0, 10, (size, size, 3))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def contact_sheet(folder, target, per_class=6):
    names = sorted(os.listdir(folder))
    sheet = Image.new("RGB", (32 * per_class, 32 * len(names)))
    for row, name in enumerate(names):
        for col, f in enumerate(sorted(os.listdir(os.path.join(folder, name)))[:per_class]):
            sheet.paste(Image.open(os.path.join(folder, name, f)), (32 * col, 32 * row))
    os.makedirs(target)
    sheet.save(os.path.join(target, "sheet.png"))


def prepare(root):
    rng = np.random.default_rng(5)
    for split, n in (("train", 150), ("test", 40)):
        for name in SHAPES:
            folder = os.path.join(root, split, name)
            os.makedirs(folder)
            for i in range(n):
                draw_shape(name, rng).save(os.path.join(folder, "%04d.png" % i))
    contact_sheet(os.path.join(root, "train"), os.path.join(root, "train", "_preview"))


class ImageFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(e.name for e in os.scandir(root) if e.is_dir())
        self.class_to_idx = {c: i for i, c in enumerate(self.classes)}
        self.samples = []
        for c in self.classes:
            for f in sorted(os.listdir(os.path.join(root, c))):
                self.samples.append((os.path.join(root, c, f), self.class_to_idx[c]))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, target = self.samples[index]
        img = Image.open(path).convert("RGB").resize((32, 32))
        x = torch.tensor(np.array(img), dtype=torch.float32).permute(2, 0, 1) / 255
        return (x - 0.5) / 0.25, target


def build_model(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 4 * 4, 96), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(96, num_classes),
    )


def train_one_epoch(model, loader, criterion, optimizer, device):
    model.train()
    total = 0.0
    for images, targets in loader:
        images, targets = images.to(device), targets.to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    correct = 0
    for images, targets in loader:
        correct += model(images.to(device)).argmax(1).eq(targets.to(device)).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(1234)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    root = tempfile.mkdtemp(prefix="shapes_")
    try:
        prepare(root)
        train_data = ImageFolder(os.path.join(root, "train"))
        test_data = ImageFolder(os.path.join(root, "test"))
        train_loader = DataLoader(train_data, batch_size=32, shuffle=True)
        test_loader = DataLoader(test_data, batch_size=70)

        model = build_model(len(train_data.classes)).to(device)
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1.5e-3)
        for epoch in range(6):
            loss = train_one_epoch(model, train_loader, criterion, optimizer, device)
            print("epoch %d  loss %.4f" % (epoch + 1, loss))
        print("accuracy: %.3f" % evaluate(model, test_loader, device))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
