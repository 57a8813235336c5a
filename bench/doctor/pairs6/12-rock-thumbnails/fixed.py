"""Rock type from field photographs.

Layout of the archive:  <root>/<rock type>/<visit>.png, one photograph per rock type
and visit. A visit has its own light and camera, so train / val / test are split by visit.
"""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage
from torch import nn
from torch.utils.data import DataLoader, Dataset

VISITS = 320
THUMB = 24


# ----------------------------------------------------------------- archive

def texture(rock: str, rng: np.random.Generator) -> np.ndarray:
    h, w = 36, 48
    noise = rng.normal(size=(h, w))
    if rock == "basalt":
        t = 0.30 * ndimage.gaussian_filter(noise, 0.7) * 2
    elif rock == "granite":
        t = np.sign(ndimage.gaussian_filter(noise, rng.uniform(1.5, 2.2))) * 0.6
    elif rock == "slate":
        t = ndimage.gaussian_filter(noise, (0.6, 6)) * 4
    elif rock == "schist":
        yy, xx = np.mgrid[0:h, 0:w]
        t = np.sin((yy + 3 * np.sin(xx / rng.uniform(4, 6))) * rng.uniform(0.7, 1.1))
    else:                                                       # conglomerate
        seeds = np.ones((h, w))
        seeds[rng.integers(0, h, 14), rng.integers(0, w, 14)] = 0
        t = (ndimage.distance_transform_edt(seeds) < rng.uniform(2.5, 4)) * 1.4 - 0.7
    return t


def write_archive(root: Path, rocks: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    light = rng.uniform(90, 160, VISITS)
    contrast = rng.uniform(14, 40, VISITS)
    for rock in rocks:
        (root / rock).mkdir(parents=True)
        for v in range(VISITS):
            img = light[v] + contrast[v] * texture(rock, rng) + rng.normal(0, 26, (36, 48))
            Image.fromarray(np.clip(img, 0, 255).astype(np.uint8)).save(root / rock / f"visit{v:04d}.png")


# ----------------------------------------------------------------- data set

class RockPhotos(Dataset):
    """Photographs as small, cleaned thumbnails; a finished thumbnail is kept on disk."""

    def __init__(self, root: Path, visits: set[int], cache_dir: Path):
        self.classes = sorted(d.name for d in root.iterdir() if d.is_dir())
        self.items = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((root / name).glob("*.png"))
            if int(path.stem[5:]) in visits
        ]
        self.cache_dir = cache_dir
        cache_dir.mkdir(exist_ok=True)

    def __len__(self) -> int:
        return len(self.items)

    def _thumbnail(self, path: Path) -> np.ndarray:
        cached = self.cache_dir / f"{path.parent.name}_{path.stem}_{THUMB}.npy"
        if cached.exists():
            return np.load(cached)
        photo = Image.open(path).convert("L")
        photo = ImageOps.fit(photo.filter(ImageFilter.GaussianBlur(0.6)), (THUMB, THUMB))
        thumb = np.asarray(photo, dtype=np.float32) / 255.0
        thumb = (thumb - thumb.mean()) / (thumb.std() + 1e-3)
        np.save(cached, thumb)
        return thumb

    def __getitem__(self, i: int):
        path, label = self.items[i]
        return torch.from_numpy(self._thumbnail(path))[None], label


# ----------------------------------------------------------------- model and training

def conv_block(cin: int, cout: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def make_model(n_classes: int) -> nn.Module:
    return nn.Sequential(
        conv_block(1, 12), conv_block(12, 24), conv_block(24, 32),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 3 * 3, n_classes),
    )


def score(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return hits / total


def main() -> None:
    random.seed(3)
    torch.manual_seed(3)
    rocks = ["basalt", "conglomerate", "granite", "schist", "slate"]
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp) / "photos"
        write_archive(root, rocks, seed=3)

        visits = list(range(VISITS))
        random.shuffle(visits)
        parts = {"train": set(visits[:220]), "val": set(visits[220:260]), "test": set(visits[260:])}
        sets = {k: RockPhotos(root, v, Path(tmp) / "thumbs") for k, v in parts.items()}
        train = DataLoader(sets["train"], batch_size=50, shuffle=True, drop_last=True)
        val = DataLoader(sets["val"], batch_size=200)
        test = DataLoader(sets["test"], batch_size=200)

        model = make_model(len(rocks))
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        epochs = 9
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
        for epoch in range(epochs):
            model.train()
            running = 0.0
            for x, y in train:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                running += loss.item()
            scheduler.step()
            print(f"epoch {epoch + 1}: loss {running / len(train):.3f}, val acc {score(model, val):.3f}")
        print(f"test acc {score(model, test):.4f}")


if __name__ == "__main__":
    main()
