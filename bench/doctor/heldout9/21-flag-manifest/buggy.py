import csv
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

R, W, B, G, Y, K, O = ((200, 30, 40), (240, 240, 240), (30, 50, 150), (20, 130, 70),
                       (240, 200, 40), (25, 25, 25), (240, 130, 40))
VERTICAL = {"france": (B, W, R), "italy": (G, W, R), "ireland": (G, W, O), "belgium": (K, Y, R), "nigeria": (G, W, G)}
HORIZONTAL = {"germany": (K, R, Y), "netherlands": (R, W, B), "russia": (W, B, R), "hungary": (R, W, G),
              "austria": (R, W, R)}
COUNTRIES = list(VERTICAL) + list(HORIZONTAL)


def wave_flag(country, rng, h=24, w=36):
    """One flag in the wind, in whatever light there is."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    shift = rng.uniform(1, 3) * np.sin(x / rng.uniform(4, 8) + rng.uniform(0, 6))
    u = (x - rng.uniform(2, 5)) / (w - rng.uniform(6, 10))
    v = (y + shift - rng.uniform(2, 5)) / (h - rng.uniform(6, 10))
    cols = np.array(VERTICAL.get(country) or HORIZONTAL[country], float)
    band = np.clip(((u if country in VERTICAL else v) * 3).astype(int), 0, 2)
    img = cols[band]
    outside = (u < 0) | (u > 1) | (v < 0) | (v > 1)
    img[outside] = rng.uniform(60, 220, 3)
    img = img * (1 + 0.06 * shift[..., None]) * rng.uniform(0.55, 1.05) * rng.uniform(0.85, 1.15, 3)
    return (img + rng.normal(0, 14, img.shape)).clip(0, 255).astype(np.uint8)


def collect(root, split, count, rng):
    """Write pictures and a manifest, in the order in which they came in."""
    (root / split).mkdir()
    with open(root / f"{split}.csv", "w", newline="") as f:
        out = csv.writer(f)
        out.writerow(["file", "country"])
        for i in range(count):
            country = COUNTRIES[rng.integers(len(COUNTRIES))]
            Image.fromarray(wave_flag(country, rng)).save(root / split / f"{i:05d}.png")
            out.writerow([f"{split}/{i:05d}.png", country])


class ManifestDataset(Dataset):
    def __init__(self, manifest, vocab=None, relight=False):
        self.vocab = {} if vocab is None else vocab
        self.relight = relight
        self.items = []
        with open(manifest, newline="") as f:
            for row in csv.DictReader(f):
                target = self.vocab.setdefault(row["country"], len(self.vocab))
                pixels = np.asarray(Image.open(manifest.parent / row["file"]).convert("RGB"))
                self.items.append((torch.from_numpy(pixels.copy()).permute(2, 0, 1), target))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        pixels, target = self.items[i]
        x = (pixels.float() - 120) / 70
        if self.relight:                      # a change of light; flags must not be flipped
            x = x * (0.9 + 0.2 * torch.rand(())) + 0.1 * torch.randn(3, 1, 1)
        return x, target


class FlagNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1), nn.ReLU())
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(48 * 6 * 9, 80), nn.ReLU(), nn.Linear(80, classes))

    def forward(self, x):
        return self.classifier(self.features(x))


class Trainer:
    def __init__(self, model, train_data, val_data, epochs=6, batch=32, lr=8e-4):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_loader = DataLoader(train_data, batch_size=batch, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val_data, batch_size=100)
        self.epochs = epochs
        self.optimizer = torch.optim.RMSprop(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.8)
        self.criterion = nn.CrossEntropyLoss()

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.scheduler.step()
        return total / len(self.train_loader)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        hits = sum((self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item() for x, y in self.val_loader)
        return hits / len(self.val_loader.dataset)

    def run(self):
        for epoch in range(1, self.epochs + 1):
            loss = self.train_epoch()
            print(f"[{epoch}] loss={loss:.4f} val={self.validate():.3f}")
        return self.validate()


if __name__ == "__main__":
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rng = np.random.default_rng(17)
        collect(root, "train", 1200, rng)
        collect(root, "val", 400, rng)
        train_data = ManifestDataset(root / "train.csv", relight=True)
        val_data = ManifestDataset(root / "val.csv")
    print("classes:", ", ".join(train_data.vocab))
    trainer = Trainer(FlagNet(len(train_data.vocab)), train_data, val_data)
    print(f"accuracy: {trainer.run():.3f}")
