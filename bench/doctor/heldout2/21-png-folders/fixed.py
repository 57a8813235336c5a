"""Train on a folder of PNG files:  root/{train,val}/<hash>__<class>.png"""

import glob
import hashlib
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SHAPES = ["moon", "disc", "bar", "plus", "frame", "wedge"]


def draw(shape, rng):
    fg, bg = (200, 60) if rng.random() < 0.5 else (40, 170)
    im = Image.new("L", (24, 24), bg)
    d = ImageDraw.Draw(im)
    x, y = (int(v) for v in rng.integers(1, 8, 2))
    box = (x, y, x + 15, y + 15)
    if shape in ("disc", "moon"):
        d.ellipse(box, fill=fg)
        if shape == "moon":
            d.ellipse((x + 5, y, x + 20, y + 15), fill=bg)
    elif shape == "bar":
        d.rectangle((x, y + 5, x + 15, y + 10), fill=fg)
    elif shape == "plus":
        d.rectangle((x, y + 6, x + 15, y + 9), fill=fg)
        d.rectangle((x + 6, y, x + 9, y + 15), fill=fg)
    elif shape == "frame":
        d.rectangle(box, outline=fg, width=3)
    else:
        d.polygon([(x, y), (x, y + 15), (x + 15, y + 15)], fill=fg)
    a = np.asarray(im).astype("float64") + rng.normal(0, 18, (24, 24))
    return Image.fromarray(a.clip(0, 255).astype("uint8"))


def write_split(folder, n, rng):
    os.makedirs(folder)
    for i in range(n):
        shape = SHAPES[rng.integers(len(SHAPES))]
        name = hashlib.md5(f"{folder[-5:]}{i}".encode()).hexdigest()[:10]
        draw(shape, rng).save(os.path.join(folder, f"{name}__{shape}.png"))


class PngFolder(Dataset):
    def __init__(self, folder):
        self.files = sorted(glob.glob(os.path.join(folder, "*.png")))
        names = [os.path.basename(f)[:-4].split("__")[1] for f in self.files]
        self.classes = sorted(set(names))
        self.class_to_idx = {c: i for i, c in enumerate(self.classes)}
        self.targets = [self.class_to_idx[n] for n in names]
        self.cache = [np.array(Image.open(f), dtype=np.float32) for f in self.files]

    def __getitem__(self, i):
        return torch.from_numpy(self.cache[i][None] - 110) / 65, self.targets[i]

    def __len__(self):
        return len(self.files)


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        rng = np.random.default_rng(21)
        write_split(os.path.join(root, "train"), 1200, rng)
        write_split(os.path.join(root, "val"), 300, rng)
        train_data = PngFolder(os.path.join(root, "train"))
        val_data = PngFolder(os.path.join(root, "val"))
    print(len(train_data), "training images,", len(val_data), "validation images,", len(train_data.classes), "classes")
    train_loader = DataLoader(train_data, batch_size=30, shuffle=True)
    val_loader = DataLoader(val_data, batch_size=60)

    model = nn.Sequential()
    model.add_module("conv1", nn.Conv2d(1, 12, 3, padding=1))
    model.add_module("relu1", nn.ReLU())
    model.add_module("pool1", nn.MaxPool2d(2))
    model.add_module("conv2", nn.Conv2d(12, 24, 3, padding=1))
    model.add_module("relu2", nn.ReLU())
    model.add_module("pool2", nn.MaxPool2d(2))
    model.add_module("flat", nn.Flatten())
    model.add_module("fc", nn.Linear(24 * 36, len(train_data.classes)))

    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(5):
        model.train()
        total_loss = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total_loss += loss.item() * x.size(0)
        model.eval()
        n_ok = 0
        with torch.no_grad():
            for x, y in val_loader:
                n_ok += (model(x).argmax(dim=1) == y).sum().item()
        print(f"Epoch {epoch + 1}/5  loss={total_loss / len(train_data):.4f}  val_acc={n_ok / len(val_data):.3f}")
    print(f"accuracy: {n_ok / len(val_data):.3f}")


if __name__ == "__main__":
    main()
