"""Sort photographs of fruit into five bins by how ripe it is.

The pictures are rendered once into train/, val/ and test/ folders (one
sub-folder a bin), a small CNN is trained on them, the best checkpoint on val/
is kept, and at the end a report over the test folders is printed.
"""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

BINS = ["green", "turning", "ripe", "overripe", "spoilt"]
SKIN = [(95, 165, 60), (165, 175, 60), (215, 175, 55), (200, 110, 45), (125, 80, 60)]
SIZE = 28
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def render(kind, rng):
    """A fruit on a table: the skin goes from green over yellow to brown, and gathers spots."""
    stage = BINS.index(kind)
    table = tuple(int(v) for v in rng.integers(40, 200, 3))
    skin = tuple(int(v) for v in np.clip(np.array(SKIN[stage]) + rng.normal(0, 14, 3), 0, 255))
    im = Image.new("RGB", (SIZE * 2, SIZE * 2), table)
    d = ImageDraw.Draw(im)
    rx, ry = (int(v) for v in rng.integers(14, 22, 2))
    cx, cy = (int(v) for v in rng.integers(24, 33, 2))
    d.ellipse([cx - rx, cy - ry, cx + rx, cy + ry], fill=skin)
    for _ in range(rng.poisson(2 * stage)):
        a, q = rng.uniform(0, 6.28), rng.uniform(0, 0.7)
        x, y = cx + q * rx * np.cos(a), cy + q * ry * np.sin(a)
        d.ellipse([x - 2, y - 2, x + 2, y + 2], fill=(70, 50, 35))
    im = im.resize((SIZE, SIZE), Image.BILINEAR)
    light = rng.uniform(0.85, 1.1)
    a = np.asarray(im, dtype=np.float32) * light + rng.normal(0, 10, (SIZE, SIZE, 3))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def write_pictures(root, counts, seed):
    rng = np.random.default_rng(seed)
    for split, n in counts.items():
        for kind in BINS:
            folder = root / split / kind
            folder.mkdir(parents=True)
            for i in range(n):
                render(kind, rng).save(folder / f"{i:04d}.png")


class Pictures(Dataset):
    def __init__(self, folder):
        self.items = [(p, BINS.index(p.parent.name)) for p in sorted(Path(folder).glob("*/*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        return load(path), label


def load(path):
    a = np.asarray(Image.open(path), dtype=np.float32) / 255
    return torch.from_numpy(a).permute(2, 0, 1).sub(0.4).div(0.25)


def make_model():
    def block(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))

    return nn.Sequential(
        block(3, 16), block(16, 32), block(32, 64),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(BINS)),
    ).to(DEVICE)


def train(root, checkpoint, epochs=5):
    model = make_model()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    loss_fn = nn.CrossEntropyLoss()
    train_dl = DataLoader(Pictures(root / "train"), batch_size=40, shuffle=True)
    val_dl = DataLoader(Pictures(root / "val"), batch_size=100)
    best = -1.0
    for epoch in range(epochs):
        model.train()
        for x, y in train_dl:
            x, y = x.to(DEVICE), y.to(DEVICE)
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
        model.eval()
        hits = 0
        with torch.no_grad():
            for x, y in val_dl:
                hits += (model(x.to(DEVICE)).argmax(1).cpu() == y).sum().item()
        acc = hits / len(val_dl.dataset)
        print(f"epoch {epoch + 1}: val {acc:.3f}")
        if acc > best:
            best = acc
            torch.save(model.state_dict(), checkpoint)


def report(root, checkpoint):
    model = make_model()
    model.load_state_dict(torch.load(checkpoint, map_location=DEVICE))
    hits = total = 0
    with torch.no_grad():
        for label, kind in enumerate(BINS):
            files = sorted((root / "test" / kind).glob("*.png"))
            x = torch.stack([load(f) for f in files]).to(DEVICE)
            guess = model(x).argmax(1)
            ok = (guess == label).sum().item()
            print(f"  {kind:9s} {ok}/{len(files)}")
            hits += ok
            total += len(files)
    return hits / total


def main():
    random.seed(11)
    torch.manual_seed(11)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_pictures(root, {"train": 160, "val": 40, "test": 40}, seed=11)
        checkpoint = root / "best.pt"
        train(root, checkpoint)
        print(f"accuracy: {report(root, checkpoint):.3f}")


if __name__ == "__main__":
    main()
