import pathlib
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

KINDS = ["arch", "bolt", "circle", "diamond", "edge"]


def paint(kind, rng):
    im = Image.new("L", (20, 20), 30)
    d = ImageDraw.Draw(im)
    a, b = (int(v) for v in rng.integers(1, 7, 2))
    if kind == "arch":
        d.arc([a, b, a + 12, b + 12], 180, 360, fill=220, width=2)
    elif kind == "bolt":
        d.line([a + 8, b, a + 2, b + 6, a + 9, b + 6, a + 3, b + 12], fill=220, width=2)
    elif kind == "circle":
        d.ellipse([a, b, a + 12, b + 12], outline=220, width=2)
    elif kind == "diamond":
        d.polygon([(a + 6, b), (a + 12, b + 6), (a + 6, b + 12), (a, b + 6)], outline=220)
    else:
        d.line([a, b + 12, a + 12, b], fill=220, width=2)
    noisy = np.asarray(im, dtype=float) + rng.normal(0, 35, (20, 20))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write_folders(root):
    rng = np.random.default_rng(10)
    for split, per_class in (("train", 200), ("val", 60)):
        for kind in KINDS:
            if split == "val" and kind == "bolt":
                continue  # no images collected yet
            folder = root / split / kind
            folder.mkdir(parents=True)
            for k in range(per_class):
                paint(kind, rng).save(folder / f"{k:04d}.png")


class FolderDataset(Dataset):
    def __init__(self, root, class_to_idx=None):
        self.classes = sorted(p.name for p in root.iterdir() if p.is_dir())
        self.class_to_idx = class_to_idx or {c: i for i, c in enumerate(self.classes)}
        self.samples = [(p, self.class_to_idx[p.parent.name]) for p in sorted(root.glob("*/*.png"))]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        path, target = self.samples[i]
        with Image.open(path) as im:
            arr = np.array(im, dtype=np.float32)
        return torch.from_numpy(arr)[None] / 100 - 0.6, target


def main():
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        write_folders(root)
        train_set = FolderDataset(root / "train")
        val_set = FolderDataset(root / "val", train_set.class_to_idx)
        train_loader = DataLoader(train_set, batch_size=25, shuffle=True)
        val_loader = DataLoader(val_set, batch_size=60)
        model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(800, len(train_set.classes)),
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for epoch in range(8):
            for x, y in train_loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            print("epoch", epoch, "loss", loss.item())
        with torch.no_grad():
            ok = sum(int((model(x).argmax(1) == y).sum()) for x, y in val_loader)
        print(f"accuracy: {ok / len(val_set):.4f}")


if __name__ == "__main__":
    main()
