# Tree species from bark patches, collected in yearly forest surveys.
import csv
import io
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# Two codebooks for the species were in use over the years.
CODES_OLD = {1: "oak", 2: "beech", 3: "birch", 4: "pine", 5: "plane"}
CODES_NEW = {1: "beech", 2: "birch", 3: "oak", 4: "plane", 5: "pine"}
SPECIES = sorted(CODES_OLD.values())
N = 24


def smooth(a, ky, kx):
    for axis, k in ((0, ky), (1, kx)):
        a = sum(np.roll(a, s, axis) for s in range(-k, k + 1)) / (2 * k + 1)
    return a / (a.std() + 1e-6)


def bark(species, rng):
    g = rng.standard_normal((N, N))
    if species == "oak":                                   # long vertical furrows
        relief = np.abs(smooth(g, 5, 0))
    elif species == "beech":                               # smooth, a few eyes
        relief = 0.3 * smooth(g, 3, 3)
        for _ in range(rng.integers(1, 4)):
            y, x = rng.integers(4, N - 4, 2)
            relief[y - 1:y + 2, x - 3:x + 4] -= 2.0
    elif species == "birch":                               # horizontal dashes
        relief = 0.4 * smooth(g, 1, 1)
        for _ in range(rng.integers(4, 9)):
            y, x, w = rng.integers(0, N), rng.integers(0, N - 4), rng.integers(4, 11)
            relief[y, x:x + w] -= 2.2
    elif species == "pine":                                # plates with dark joints
        relief = np.where(np.abs(smooth(g, 2, 1)) < 0.35, -1.5, 0.6)
    else:                                                  # plane tree, flaked patches
        relief = np.sign(smooth(g, 3, 3)) * 0.9
    light = np.linspace(-1, 1, N)[None] * rng.uniform(-0.5, 0.5)
    return (0.5 + 0.12 * relief + 0.1 * light + rng.normal(0, 0.06) + rng.normal(0, 0.07, (N, N))).astype(np.float32)


def survey(year, patches, codebook, rng):
    """One season's field sheet (CSV text) and its pictures."""
    code_of = {name: code for code, name in codebook.items()}
    sheet, pictures = io.StringIO(), {}
    writer = csv.writer(sheet)
    for i in range(patches):
        species = SPECIES[i % len(SPECIES)]
        key = f"{year}/{i:04d}"
        writer.writerow([key, code_of[species], "NESW"[rng.integers(4)]])
        pictures[key] = bark(species, rng)
    return sheet.getvalue(), pictures


def species_name(key, code):
    year = int(key.split("/")[0])
    codebook = CODES_OLD if year <= 2019 else CODES_NEW
    return codebook[int(code)]


class BarkData:
    batch_size = 64

    def __init__(self, seed=6):
        rng = np.random.default_rng(seed)
        rows, self.pictures = [], {}
        for year, patches, book in ((2018, 350, CODES_OLD), (2019, 700, CODES_OLD), (2020, 350, CODES_NEW), (2021, 500, CODES_NEW)):
            text, pictures = survey(year, patches, book, rng)
            rows += list(csv.reader(io.StringIO(text)))
            self.pictures.update(pictures)
        self.train_rows = [r for r in rows if not r[0].startswith("2021")]
        self.val_rows = [r for r in rows if r[0].startswith("2021")]

    def setup(self):
        self.train = self._tensors(self.train_rows)
        self.val = self._tensors(self.val_rows)

    def _tensors(self, rows):
        x = torch.from_numpy(np.stack([self.pictures[key] for key, _, _ in rows]))[:, None]
        y = torch.tensor([SPECIES.index(species_name(key, code)) for key, code, _ in rows])
        return (x - 0.5) / 0.15, y

    def train_batches(self):
        x, y = self.train
        for idx in torch.randperm(len(y)).split(self.batch_size):
            if len(idx) == self.batch_size:
                flip = torch.rand(len(idx)) < 0.5          # bark has no left or right
                xb = x[idx].clone()
                xb[flip] = xb[flip].flip(-1)
                yield xb, y[idx]

    def val_batches(self):
        yield from zip(self.val[0].split(250), self.val[1].split(250))


class BarkModule(nn.Module):
    def __init__(self, width=16, lr=3e-3):
        super().__init__()
        self.lr = lr
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 5, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Linear(2 * width, len(SPECIES))

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))

    def training_step(self, batch):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(1) == y).float()

    def configure_optimizers(self):
        decay = [p for p in self.parameters() if p.ndim > 1]
        plain = [p for p in self.parameters() if p.ndim <= 1]
        return torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=self.lr)


class Fitter:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, data):
        data.setup()
        opt = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.train()
            logged = []
            for batch in data.train_batches():
                loss = module.training_step(batch)
                opt.zero_grad()
                loss.backward()
                opt.step()
                logged.append(loss.item())
            print(f"epoch={epoch} train_loss={np.mean(logged):.3f} val_acc={self.validate(module, data):.3f}")

    @torch.no_grad()
    def validate(self, module, data):
        module.eval()
        return torch.cat([module.validation_step(b) for b in data.val_batches()]).mean().item()


if __name__ == "__main__":
    random.seed(1)
    torch.manual_seed(1)
    Fitter(max_epochs=7).fit(BarkModule(), BarkData())
