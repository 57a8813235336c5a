"""Phenotypes of treated cells in 24-well plates, one two-channel frame per site."""
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, TensorDataset

PHENOTYPES = ("control", "elongated", "multinucleate", "shrunken")
PLATES, WELLS, SITES, SIZE = 7, 24, 6, 32


class Frame(NamedTuple):
    plate: int
    site: int
    well: int
    phenotype: int
    image: np.ndarray


# ---- microscope -------------------------------------------------------------------------------
def culture(phenotype, rng):
    name = PHENOTYPES[phenotype]
    return dict(
        n=rng.poisson(4) + 3,
        size=rng.lognormal(np.log(2.1 if name == "shrunken" else 3.6), 0.12),
        aspect=rng.lognormal(np.log(2.9 if name == "elongated" else 1.2), 0.16),
        nuclei=rng.uniform(2.2, 5) if name == "multinucleate" else rng.uniform(0.5, 1.3),
        stain=rng.lognormal(np.log(0.55), 0.25, 2), back=rng.uniform(0.05, 0.25, 2),
        grain=rng.uniform(0.5, 1.4), angle=rng.uniform(0, np.pi))


def expose(c, rng):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    cytoplasm, dna = np.zeros((2, SIZE, SIZE))
    for _ in range(rng.poisson(c["n"]) + 2):
        cy, cx = rng.uniform(2, SIZE - 2, 2)
        a = c["angle"] + rng.normal(0, 0.3)
        r, q = c["size"] * rng.lognormal(0, 0.12), c["aspect"] * rng.lognormal(0, 0.08)
        u = (xx - cx) * np.cos(a) + (yy - cy) * np.sin(a)
        v = -(xx - cx) * np.sin(a) + (yy - cy) * np.cos(a)
        cytoplasm = np.maximum(cytoplasm, np.exp(-(u * u / q + v * v * q) / (1.2 * r * r)))
        for _ in range(max(1, rng.poisson(c["nuclei"]))):
            ny, nx = cy + rng.normal(0, 0.4 * r), cx + rng.normal(0, 0.4 * r)
            dna = np.maximum(dna, np.exp(-((yy - ny) ** 2 + (xx - nx) ** 2) / 1.8))
    img = np.stack([cytoplasm, dna]) * c["stain"][:, None, None] + c["back"][:, None, None]
    noise = gaussian_filter(rng.normal(0, 1, img.shape), (0, c["grain"], c["grain"]))
    return (img * rng.uniform(0.97, 1.03) + 0.03 * noise / noise.std()).astype(np.float32)


def acquire(rng):
    """The stage visits all wells of a plate for the first site, then for the second, and so on."""
    frames = []
    for plate in range(PLATES):
        treatment = rng.permutation(np.arange(WELLS) % len(PHENOTYPES))
        cultures = [culture(t, rng) for t in treatment]
        for site in range(SITES):
            for well in range(WELLS):
                frames.append(Frame(plate, site, well, int(treatment[well]), expose(cultures[well], rng)))
    return frames


# ---- parts ------------------------------------------------------------------------------------
def well_of(frame):
    return frame.phenotype, frame.plate, frame.well


def partition(frames, shares, rng):
    wells = [list(members) for _, members in groupby(sorted(frames, key=well_of), key=well_of)]
    parts = {name: [] for name in shares}
    for phenotype in range(len(PHENOTYPES)):
        mine = [w for w in wells if w[0].phenotype == phenotype]
        cuts = np.round(np.cumsum(list(shares.values())) * len(mine)).astype(int)
        chunks = np.split(rng.permutation(len(mine)), cuts[:-1])
        for name, chunk in zip(shares, chunks):
            for i in chunk:
                parts[name].extend(mine[i])
    return parts


def tensors(frames):
    return torch.from_numpy(np.stack([f.image for f in frames])), torch.tensor([f.phenotype for f in frames])


# ---- training ---------------------------------------------------------------------------------
class Callback:
    def on_epoch_end(self, trainer, epoch, logs): ...
    def on_fit_end(self, trainer): ...


class Printer(Callback):
    def on_epoch_end(self, trainer, epoch, logs):
        print(f"[{epoch:02d}] " + "  ".join(f"{k}={v:.3f}" for k, v in logs.items()))


class KeepBest(Callback):
    def __init__(self, monitor="val_acc"):
        self.monitor, self.best, self.state = monitor, -np.inf, None

    def on_epoch_end(self, trainer, epoch, logs):
        if logs[self.monitor] > self.best:
            self.best = logs[self.monitor]
            self.state = {k: t.clone() for k, t in trainer.model.state_dict().items()}

    def on_fit_end(self, trainer):
        trainer.model.load_state_dict(self.state)


class Trainer:
    def __init__(self, model, callbacks):
        self.model, self.callbacks = model, callbacks
        self.loss = nn.CrossEntropyLoss()

    def fit(self, train, val, epochs, lr):
        optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, epochs + 2, power=1.0)
        for epoch in range(epochs):
            self.model.train()
            losses = []
            for x, y in train:
                optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            schedule.step()
            logs = {"loss": float(np.mean(losses)), "val_acc": self.accuracy(val)}
            for cb in self.callbacks:
                cb.on_epoch_end(self, epoch, logs)
        for cb in self.callbacks:
            cb.on_fit_end(self)

    @torch.no_grad()
    def accuracy(self, loader):
        self.model.eval()
        return torch.cat([self.model(x).argmax(1) == y for x, y in loader]).float().mean().item()


class CellNet(nn.Module):
    def __init__(self):
        super().__init__()
        def stage(i, o):
            return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.SiLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*stage(2, 20), *stage(20, 32), *stage(32, 64))
        self.classify = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(PHENOTYPES)))

    def forward(self, x):
        return self.classify(self.features(x))


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(13)
    rng = np.random.default_rng(13)
    parts = partition(acquire(rng), {"train": 0.6, "val": 0.15, "test": 0.25}, rng)
    data = {name: tensors(frames) for name, frames in parts.items()}
    mean = data["train"][0].mean((0, 2, 3), keepdim=True)
    std = data["train"][0].std((0, 2, 3), keepdim=True)
    loaders = {name: DataLoader(TensorDataset((x - mean) / std, y), batch_size=32, shuffle=name == "train",
                                drop_last=name == "train") for name, (x, y) in data.items()}
    trainer = Trainer(CellNet(), [Printer(), KeepBest()])
    trainer.fit(loaders["train"], loaders["val"], epochs=14, lr=3e-3)
    print(f"test wells: accuracy {trainer.accuracy(loaders['test']):.4f}")
