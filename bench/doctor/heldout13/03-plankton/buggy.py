"""Plankton silhouettes from a towed camera; a few taxa dominate the catch, so the loss is weighted by taxon."""
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    catch: dict = field(default_factory=lambda: {
        "copepod": 420, "diatom_chain": 310, "radiolarian": 190, "appendicularian": 110, "foraminifer": 80, "medusa": 70})
    val_per_taxon: int = 40
    test_per_taxon: int = 70
    size: int = 26
    batch: int = 64
    epochs: int = 16
    lr: float = 0.05
    seed: int = 21


class Camera:
    """Draws one frame at three times the resolution and reduces it."""

    def __init__(self, size, rng):
        self.size, self.rng = size, rng

    def __call__(self, taxon):
        rng, n = self.rng, 3 * self.size
        im = Image.new("L", (n, n), 0)
        d = ImageDraw.Draw(im)
        c, s = n / 2, n * rng.uniform(0.22, 0.34)
        if taxon == "copepod":
            d.ellipse([c - s, c - 0.45 * s, c + s, c + 0.45 * s], fill=255)
            for k in (-1, 1):
                d.line([c + 0.8 * s, c, c + 0.2 * s, c + k * 1.2 * s], fill=255, width=3)
        elif taxon == "diatom_chain":
            for k in range(4):
                x = c - 1.2 * s + k * 0.65 * s
                d.rectangle([x, c - 0.25 * s, x + 0.48 * s, c + 0.25 * s], outline=255, width=4)
        elif taxon == "radiolarian":
            d.ellipse([c - 0.45 * s, c - 0.45 * s, c + 0.45 * s, c + 0.45 * s], fill=255)
            for a in np.arange(8) * np.pi / 4:
                d.line([c, c, c + 1.1 * s * np.cos(a), c + 1.1 * s * np.sin(a)], fill=255, width=3)
        elif taxon == "appendicularian":
            d.ellipse([c - s, c - 0.35 * s, c - 0.2 * s, c + 0.35 * s], fill=255)
            d.arc([c - 0.6 * s, c - 0.6 * s, c + 1.1 * s, c + 0.6 * s], 180, 360, fill=255, width=5)
        elif taxon == "foraminifer":
            for k in range(5):
                a, r = k * 1.1, (0.2 + 0.07 * k) * s
                x, y = c + 0.5 * s * np.cos(a), c + 0.5 * s * np.sin(a)
                d.ellipse([x - r, y - r, x + r, y + r], fill=160 + 20 * k)
        else:
            d.pieslice([c - 0.8 * s, c - s, c + 0.8 * s, c + 0.6 * s], 180, 360, fill=200)
            for k in (-0.5, 0, 0.5):
                d.line([c + k * s, c - 0.2 * s, c + 1.2 * k * s, c + 0.9 * s], fill=255, width=3)
        shift = tuple(rng.uniform(-0.1, 0.1, 2) * n)
        im = im.rotate(rng.uniform(0, 360), translate=shift, resample=Image.BILINEAR)
        a = np.asarray(im.resize((self.size, self.size), Image.BOX), np.float32) / 255
        return rng.uniform(0.4, 0.9) * a + rng.uniform(0, 0.2) + rng.normal(0, 0.06, a.shape)


def sample(cfg, counts, camera):
    frames, taxa = [], []
    for label, taxon in enumerate(cfg.catch):
        frames += [camera(taxon) for _ in range(counts[taxon])]
        taxa += [label] * counts[taxon]
    return torch.tensor(np.stack(frames), dtype=torch.float32)[:, None], torch.tensor(taxa)


class WeightedCrossEntropy(nn.Module):
    """Every taxon counts by the square root of its inverse frequency."""

    def __init__(self, counts):
        super().__init__()
        weight = counts.float().rsqrt()
        self.register_buffer("weight", weight / weight.mean())

    def forward(self, logits, target):
        w = self.weight[target]
        nll = -logits.log_softmax(dim=1).gather(1, target[:, None]).squeeze(1)
        return (w * nll).sum() / self.weight.sum()


class PlanktonNet(nn.Sequential):
    def __init__(self, n_taxa):
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
            nn.Flatten(), nn.Linear(48 * 9, 64), nn.ReLU(), nn.Linear(64, n_taxa))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        camera = Camera(cfg.size, np.random.default_rng(cfg.seed))
        x, y = sample(cfg, cfg.catch, camera)
        self.mean, self.std = x.mean(), x.std()
        self.train_loader = DataLoader(TensorDataset(self.scale(x), y), cfg.batch, shuffle=True)
        x_val, self.y_val = sample(cfg, dict.fromkeys(cfg.catch, cfg.val_per_taxon), camera)
        x_test, self.y_test = sample(cfg, dict.fromkeys(cfg.catch, cfg.test_per_taxon), camera)
        self.x_val, self.x_test = self.scale(x_val), self.scale(x_test)
        self.model = PlanktonNet(len(cfg.catch))
        self.loss = WeightedCrossEntropy(torch.bincount(y))
        self.optim = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=0.9)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(
            self.optim, max_lr=cfg.lr, epochs=cfg.epochs, steps_per_epoch=len(self.train_loader), pct_start=0.25)

    def scale(self, x):
        return (x - self.mean) / self.std

    def mean_recall(self, x, y):
        self.model.eval()
        with torch.no_grad():
            right = (self.model(x).argmax(1) == y).float()
        return torch.stack([right[y == k].mean() for k in y.unique()]).mean().item()

    def fit(self):
        best, kept = -1.0, None
        for epoch in range(self.cfg.epochs):
            self.model.train()
            losses = []
            for x, y in self.train_loader:
                self.optim.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                self.optim.step()
                self.sched.step()
                losses.append(loss.item())
            recall = self.mean_recall(self.x_val, self.y_val)
            print(f"[{epoch:02d}] loss {np.mean(losses):.3f} val mean recall {recall:.3f}")
            if recall > best:
                best, kept = recall, {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(kept)
        return self


if __name__ == "__main__":
    trainer = Trainer(Config()).fit()
    print(f"mean recall on the test frames: {trainer.mean_recall(trainer.x_test, trainer.y_test):.3f}")
