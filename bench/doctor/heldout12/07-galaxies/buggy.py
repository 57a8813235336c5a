"""Galaxy morphology from survey thumbnails."""
import logging
from typing import Dict, Iterable, Optional

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("galaxies")

CLASSES = ("elliptical", "spiral", "barred", "edge_on", "ring", "merger")


def render(kind: str, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """Simulated exposure in electrons: galaxy, field stars, sky and shot noise."""
    yy, xx = np.mgrid[:size, :size] - size / 2 + 0.5
    dy, dx = yy + rng.normal(0, 1.5), xx + rng.normal(0, 1.5)
    t = rng.uniform(0, np.pi)
    u, v = np.cos(t) * dx + np.sin(t) * dy, -np.sin(t) * dx + np.cos(t) * dy
    scale = rng.uniform(3.0, 4.2)
    q = rng.uniform(0.65, 1.0)
    r, phi = np.hypot(u, v / q), np.arctan2(v / q, u)
    bulge = np.exp(-(r / (0.6 * scale)))
    if kind == "elliptical":
        flux = np.exp(-(r / scale) ** 0.8)
    elif kind == "spiral":
        hand = rng.choice([-1, 1])
        arms = np.cos(2 * phi + hand * 3.5 * np.log(r + 1)) ** 2
        flux = 0.8 * bulge + np.exp(-r / (1.8 * scale)) * arms ** 2
    elif kind == "barred":
        bar = np.exp(-((u / (1.5 * scale)) ** 4) - (v / 1.4) ** 2)
        flux = 0.5 * bulge + 0.7 * bar + 0.25 * np.exp(-r / (1.5 * scale))
    elif kind == "edge_on":
        flux = np.exp(-np.abs(u) / (1.6 * scale) - np.abs(v) / 1.1) + 0.4 * bulge
    elif kind == "ring":
        flux = 0.7 * np.exp(-((r - 2.2 * scale) / 1.5) ** 2) + 0.5 * bulge
    else:
        s = rng.uniform(4.5, 7)
        flux = np.exp(-np.hypot(u - s / 2, v) / (0.6 * scale)) + 0.8 * np.exp(-np.hypot(u + s / 2, v * 1.3) / (0.6 * scale))
    img = flux * rng.uniform(50, 170)
    for _ in range(rng.poisson(1.5)):
        y, x = rng.integers(0, size, 2)
        img[y, x] += rng.uniform(100, 700)
    img = gaussian_filter(img, rng.uniform(0.6, 1.1)) + rng.uniform(25, 60)
    return rng.poisson(img).astype(np.float32)


class Survey(Dataset):
    def __init__(self, n: int, seed: int, augment: bool = False):
        rng = np.random.default_rng(seed)
        self.labels = torch.from_numpy(rng.integers(0, len(CLASSES), n))
        raw = np.stack([render(CLASSES[k], rng) for k in self.labels])
        sky = np.median(raw, axis=(1, 2), keepdims=True)
        x = np.arcsinh((raw - sky) / 15.0)  # the usual stretch
        x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
        self.images = torch.from_numpy(x).float().unsqueeze(1)
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        x = self.images[i]
        if self.augment:  # no up or down in the sky
            x = torch.rot90(x, int(torch.randint(4, ())), (1, 2))
            if torch.rand(()) < 0.5:
                x = x.flip(2)
        return x, self.labels[i]


class Backbone(nn.Module):
    out_dim = 64

    def __init__(self) -> None:
        super().__init__()
        layers, c = [], 1
        for width in (16, 32, 64):
            layers += [nn.Conv2d(c, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
            c = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(self.layers(x), 1).flatten(1)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.Sequential(nn.Linear(Backbone.out_dim, 32), nn.ReLU(), nn.Linear(32, len(CLASSES)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))


class Learner:
    """Trains with one optimiser per part of the model, each with a schedule of its own."""

    def __init__(self, model: nn.Module, optimizers: Dict[str, optim.Optimizer], epochs: int, steps: int):
        self.model, self.epochs = model, epochs
        self.optimizers = optimizers
        self.schedulers = {
            name: optim.lr_scheduler.OneCycleLR(o, max_lr=o.param_groups[0]["lr"], total_steps=epochs * steps)
            for name, o in optimizers.items()
        }

    def training_step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        for name, optimizer in self.optimizers.items():
            optimizer.step()
            self.schedulers[name].step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    @torch.no_grad()
    def evaluate(self, loader: Iterable) -> float:
        self.model.eval()
        hits = torch.cat([self.model(x).argmax(1) == y for x, y in loader])
        return hits.float().mean().item()

    def fit(self, train: DataLoader, valid: Optional[DataLoader] = None) -> None:
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            losses = [self.training_step(x, y) for x, y in train]
            message = f"epoch {epoch:02d} loss {np.mean(losses):.4f}"
            if valid is not None:
                message += f" valid {self.evaluate(valid):.3f}"
            log.info(message)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(42)
    train = DataLoader(Survey(1500, 1, augment=True), batch_size=50, shuffle=True, drop_last=True)
    valid, test = DataLoader(Survey(300, 2), batch_size=150), DataLoader(Survey(600, 3), batch_size=150)
    model = Classifier()
    learner = Learner(
        model,
        {"backbone": optim.SGD(model.backbone.parameters(), lr=0.05, momentum=0.9),
         "head": optim.Adam(model.head.parameters(), lr=3e-3)},
        epochs=8, steps=len(train))
    learner.fit(train, valid)
    print(f"test accuracy: {learner.evaluate(test):.4f}")
