import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, Dataset

FRUIT = ["apple", "banana", "cherry", "grape", "orange", "pear"]
PIX = 28


# ---------------------------------------------------------------- pictures
def jitter(rnd, colour, amount=22):
    return tuple(min(225, max(10, c + rnd.randint(-amount, amount))) for c in colour)


def draw_fruit(kind, rnd):
    s = PIX * 3
    im = Image.new("RGB", (s, s), jitter(rnd, (150, 140, 125), 40))
    d = ImageDraw.Draw(im)
    for _ in range(3):
        x, y = rnd.uniform(0, s), rnd.uniform(0, s)
        d.ellipse([x - 8, y - 5, x + 8, y + 5], fill=jitter(rnd, (130, 110, 90), 60))
    cx, cy, r = s / 2 + rnd.uniform(-11, 11), s / 2 + rnd.uniform(-9, 9), rnd.uniform(19, 27)
    stem = jitter(rnd, (80, 60, 30))
    if kind == "apple":
        fill = jitter(rnd, rnd.choice([(190, 50, 40), (130, 170, 60)]))
        d.ellipse([cx - r, cy - r * .85, cx + r * .25, cy + r], fill=fill)
        d.ellipse([cx - r * .25, cy - r * .85, cx + r, cy + r], fill=fill)
        d.line([cx, cy - r * .6, cx + 4, cy - r * 1.25], fill=stem, width=4)
    elif kind == "banana":
        a = rnd.randint(0, 40)
        d.arc([cx - r * 1.2, cy - r * 1.3, cx + r * 1.2, cy + r], a, a + 140, fill=jitter(rnd, (210, 185, 60)), width=13)
    elif kind == "cherry":
        fill = jitter(rnd, (160, 25, 50))
        for dx in (-.6, .6):
            d.line([cx + dx * r, cy + r * .4, cx, cy - r], fill=stem, width=3)
            d.ellipse([cx + dx * r - r * .42, cy, cx + dx * r + r * .42, cy + r * .84], fill=fill)
    elif kind == "grape":
        fill = jitter(rnd, rnd.choice([(100, 50, 120), (130, 170, 60)]))
        q = r * .3
        for row in range(4):
            for k in range(4 - row):
                gx, gy = cx + (k - (3 - row) / 2) * 2 * q, cy - r * .8 + row * 1.8 * q
                d.ellipse([gx - q, gy - q, gx + q, gy + q], fill=jitter(rnd, fill, 14))
    elif kind == "orange":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=jitter(rnd, (215, 130, 40)))
        d.ellipse([cx - 3, cy - r * .8, cx + 3, cy - r * .8 + 6], fill=(70, 90, 40))
    else:
        fill = jitter(rnd, rnd.choice([(150, 170, 60), (205, 175, 70)]))
        d.ellipse([cx - r * .8, cy - r * .3, cx + r * .8, cy + r], fill=fill)
        d.ellipse([cx - r * .42, cy - r * 1.05, cx + r * .42, cy + r * .3], fill=fill)
        d.line([cx, cy - r, cx + 3, cy - r * 1.4], fill=stem, width=4)
    im = im.filter(ImageFilter.GaussianBlur(rnd.uniform(0, 2))).resize((PIX, PIX), Image.BOX)
    noise = np.random.default_rng(rnd.getrandbits(32)).normal(0, 9, (PIX, PIX, 3))
    return Image.fromarray(np.clip(np.asarray(im) * rnd.uniform(.65, 1) + noise, 0, 250).astype(np.uint8))


def export(root, split, per_class, seed):
    rnd = random.Random(seed)
    for kind in FRUIT:
        folder = Path(root, split, kind)
        folder.mkdir(parents=True)
        for i in range(per_class):
            draw_fruit(kind, rnd).save(folder / f"{i:04d}.png")


# ---------------------------------------------------------------- data set
class CachedFolder(Dataset):
    """root/class/name.png, decoded once and held in memory."""

    def __init__(self, root, size=PIX, flip=False):
        self.classes = sorted(os.listdir(root))
        self.flip = flip
        files = [(p, k) for k, c in enumerate(self.classes) for p in sorted(Path(root, c).glob("*.png"))]
        self.labels = torch.tensor([k for _, k in files])
        self.cache = np.empty((len(files), 3, size, size), dtype=np.float32)
        for i, (path, _) in enumerate(files):
            with Image.open(path) as im:
                pixels = np.asarray(im.convert("RGB").resize((size, size)), dtype=np.float32)
            self.cache[i] = pixels.transpose(2, 0, 1) / 255.0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = torch.from_numpy(self.cache[i]).float()
        if self.flip and torch.rand(()) < 0.5:
            x = x.flip(2)
        return (x - 0.45) / 0.25, self.labels[i]


# ---------------------------------------------------------------- network
def unit(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2))


def build(classes):
    return nn.Sequential(unit(3, 16), unit(16, 32), unit(32, 48), nn.Flatten(), nn.Dropout(0.2), nn.Linear(48 * 9, classes))


def score(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(loader.dataset)


def main():
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as root:
        for split, per_class, seed in (("train", 250, 1), ("val", 60, 2), ("test", 100, 3)):
            export(root, split, per_class, seed)
        train_set = CachedFolder(Path(root, "train"), flip=True)
        val_set, test_set = CachedFolder(Path(root, "val")), CachedFolder(Path(root, "test"))
    train_dl = DataLoader(train_set, batch_size=50, shuffle=True)
    model = build(len(train_set.classes))
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(6):
        model.train()
        seen = 0.0
        for x, y in train_dl:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            seen += loss.item() * len(y)
        print(f"[{epoch}] loss {seen / len(train_set):.4f}  val {score(model, DataLoader(val_set, 120)):.4f}")
    print(f"test accuracy {score(model, DataLoader(test_set, 120)):.4f}")


if __name__ == "__main__":
    main()
