import os
import random
import tempfile

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["circle", "cross", "square", "triangle"]
SIZE = 28


def draw(kind, rng):
    bg = tuple(int(v) for v in rng.integers(0, 90, 3))
    fg = tuple(int(v) for v in rng.integers(120, 256, 3))
    im = Image.new("RGB", (SIZE, SIZE), bg)
    d = ImageDraw.Draw(im)
    r = int(rng.integers(6, 10))
    cx, cy = (int(v) for v in rng.integers(11, 18, 2))
    if kind == "circle":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fg)
    elif kind == "square":
        d.rectangle([cx - r, cy - r, cx + r, cy + r], fill=fg)
    elif kind == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
    else:
        d.line([cx - r, cy - r, cx + r, cy + r], fill=fg, width=4)
        d.line([cx - r, cy + r, cx + r, cy - r], fill=fg, width=4)
    a = np.asarray(im, dtype=np.float32) + rng.normal(0, 30, (SIZE, SIZE, 3))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def write_split(root, per_class, seed):
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        os.makedirs(os.path.join(root, name))
        for i in range(per_class):
            draw(name, rng).save(os.path.join(root, name, f"{i:04d}.png"))


def decode(path):
    with Image.open(path) as im:
        return np.asarray(im.convert("RGB"), dtype=np.float32) / 255.0


class ShapeFolder(Dataset):
    """Keeps what it has read in memory, so the disk is only touched in the first epoch."""

    def __init__(self, root, train, mean=None, std=None):
        self.train = train
        self.items = [(os.path.join(root, c, f), k) for k, c in enumerate(CLASSES)
                      for f in sorted(os.listdir(os.path.join(root, c)))]
        if mean is None:
            everything = np.stack([decode(p) for p, _ in self.items])
            mean, std = everything.mean((0, 1, 2)), everything.std((0, 1, 2))
        self.mean, self.std = mean, std
        self.cache = {}

    def __len__(self):
        return len(self.items)

    def prepare(self, img):
        if self.train:
            padded = np.pad(img, ((3, 3), (3, 3), (0, 0)), mode="edge")
            dy, dx = random.randint(0, 6), random.randint(0, 6)
            img = padded[dy:dy + SIZE, dx:dx + SIZE]
            if random.random() < 0.5:
                img = img[:, ::-1]
            img = img * random.uniform(0.8, 1.2)
        img = (img - self.mean) / self.std
        return np.ascontiguousarray(img.transpose(2, 0, 1), dtype=np.float32)

    def __getitem__(self, i):
        path, label = self.items[i]
        if i not in self.cache:
            self.cache[i] = decode(path)
        x = self.prepare(self.cache[i])
        return torch.from_numpy(x), label


def build_model():
    layers, cin = [], 3
    for cout in (16, 32, 48):
        layers += [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
        cin = cout
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 3 * 3, len(CLASSES)))


def main():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    with tempfile.TemporaryDirectory() as tmp:
        write_split(os.path.join(tmp, "train"), 250, seed=1)
        write_split(os.path.join(tmp, "test"), 80, seed=2)
        train_set = ShapeFolder(os.path.join(tmp, "train"), train=True)
        test_set = ShapeFolder(os.path.join(tmp, "test"), False, train_set.mean, train_set.std)
        loader = DataLoader(train_set, batch_size=50, shuffle=True)
        model = build_model()
        opt = torch.optim.Adam(model.parameters(), lr=1e-3)
        for epoch in range(5):
            model.train()
            for x, y in loader:
                loss = nn.functional.cross_entropy(model(x), y)
                opt.zero_grad()
                loss.backward()
                opt.step()
            print(f"epoch {epoch} last batch loss {loss.item():.3f}")
        model.eval()
        with torch.no_grad():
            hits = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test_set, batch_size=80))
    print(f"accuracy: {hits / len(test_set):.3f}")


if __name__ == "__main__":
    main()
