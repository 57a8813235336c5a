"""Pictures in a zip archive, early stopping, one look at the test set.

The archive is written to a temporary directory, one folder per class as with
ImageFolder.  The best weights by validation *loss* are restored at the end and
the test set is then opened, once.
"""
import copy
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["ellipse", "house", "zigzag"]


def picture(name, rng):
    img = Image.new("L", (20, 20), int(rng.integers(10, 90)))
    d = ImageDraw.Draw(img)
    ink = int(rng.integers(150, 250))
    x, y = rng.uniform(1, 5, 2)
    w, h = rng.uniform(10, 14, 2)
    if name == "ellipse":
        d.ellipse([x, y, x + w, y + h], outline=ink, width=2)
    elif name == "house":
        d.rectangle([x, y + h / 2, x + w, y + h], outline=ink, width=1)
        d.line([(x, y + h / 2), (x + w / 2, y), (x + w, y + h / 2)], fill=ink, width=2)
    else:
        d.line([(x + w * i / 4, y + h * (0.2 if i % 2 else 0.8)) for i in range(5)], fill=ink, width=2)
    a = np.asarray(img, np.float32) + rng.normal(0, 12, (20, 20))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def write_archive(path, rng):
    with zipfile.ZipFile(path, "w") as z:
        for split, per_class in (("train", 300), ("valid", 70), ("test", 100)):
            for name in CLASSES:
                for i in range(per_class):
                    buf = io.BytesIO()
                    picture(name, rng).save(buf, "PNG")
                    z.writestr(f"{split}/{name}/{i:04d}.png", buf.getvalue())


class Zipped(Dataset):
    def __init__(self, path, split):
        with zipfile.ZipFile(path) as z:
            names = sorted(n for n in z.namelist() if n.startswith(split + "/"))
            self.blobs = [z.read(n) for n in names]
        self.labels = [CLASSES.index(n.split("/")[1]) for n in names]

    def __len__(self):
        return len(self.blobs)

    def __getitem__(self, i):
        a = np.array(Image.open(io.BytesIO(self.blobs[i])), dtype=np.float32)
        return torch.from_numpy((a - 80.0) / 60.0)[None], self.labels[i]


def evaluate(model, loader, criterion):
    model.eval()
    loss = right = n = 0
    with torch.no_grad():
        for x, y in loader:
            out = model(x)
            loss += criterion(out, y).item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            n += len(y)
    return loss / n, right / n


def main():
    torch.manual_seed(6)
    with tempfile.TemporaryDirectory() as tmp:
        archive = Path(tmp) / "shapes.zip"
        write_archive(archive, np.random.default_rng(6))
        train = DataLoader(Zipped(archive, "train"), batch_size=30, shuffle=True)
        valid = DataLoader(Zipped(archive, "valid"), batch_size=105)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16 * 25, 32), nn.ReLU(), nn.Linear(32, 3),
        )
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        best, best_state, patience = float("inf"), None, 0
        for epoch in range(10):
            model.train()
            for x, y in train:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
            loss, acc = evaluate(model, valid, criterion)
            print(f"epoch {epoch}: validation loss {loss:.3f}, accuracy {acc:.3f}")
            if loss < best:
                best, best_state, patience = loss, copy.deepcopy(model.state_dict()), 0
            else:
                patience += 1
                if patience == 2:
                    break
        model.load_state_dict(best_state)
        test = DataLoader(Zipped(archive, "test"), batch_size=150)
        print(f"accuracy: {evaluate(model, test, criterion)[1]:.3f}")


if __name__ == "__main__":
    main()
