"""White blood cell typing on stained smears.

The five types occur at very different rates, so the loss is weighted and the score is balanced accuracy.
"""
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CELL_TYPES = ["basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"]
FREQUENCY = [0.02, 0.04, 0.27, 0.07, 0.60]
SIDE = 28


# --------------------------------------------------------------------------- data
def smear(cell_type: str, rng: np.random.Generator) -> np.ndarray:
    yy, xx = np.mgrid[:SIDE, :SIDE].astype(float)
    cy, cx = rng.uniform(11, 17, 2)
    field = np.ones((SIDE, SIDE, 3)) * np.array([0.88, 0.78, 0.80])
    for _ in range(3):                                              # red cells around it
        ry, rx = rng.uniform(0, SIDE, 2)
        field[np.hypot(yy - ry, xx - rx) < rng.uniform(3, 4)] = (0.80, 0.55, 0.58)
    size = {"lymphocyte": 6.5, "monocyte": 9.0}.get(cell_type, 8.0) * rng.uniform(0.88, 1.12)
    body = np.hypot(yy - cy, xx - cx) < size
    field[body] = (0.74, 0.66, 0.80)
    violet = np.array([0.42, 0.24, 0.55]) + rng.normal(0, 0.05, 3)

    def nucleus(dy, dx, radius):
        field[body & (np.hypot(yy - cy - dy, xx - cx - dx) < radius)] = violet

    angle = rng.uniform(0, 2 * np.pi)
    if cell_type == "lymphocyte":
        nucleus(*rng.uniform(-0.6, 0.6, 2), size * rng.uniform(0.74, 0.88))
    elif cell_type == "monocyte":
        nucleus(0, 0, size * rng.uniform(0.6, 0.72))
        dy, dx = np.sin(angle) * 5, np.cos(angle) * 5
        field[body & (np.hypot(yy - cy - dy, xx - cx - dx) < 2.8)] = (0.74, 0.66, 0.80)
    else:
        lobes = {"neutrophil": rng.integers(3, 5), "eosinophil": 2, "basophil": 2}[cell_type]
        for k in range(lobes):
            t = angle + k * (2.1 if lobes > 2 else 3.0)
            nucleus(np.sin(t) * size * 0.45, np.cos(t) * size * 0.45, rng.uniform(2.2, 3.0))
    if cell_type in ("eosinophil", "basophil"):
        grains = body & (rng.random((SIDE, SIDE)) < 0.40)
        field[grains] = (0.80, 0.42, 0.42) if cell_type == "eosinophil" else (0.36, 0.26, 0.52)
    field = gaussian_filter(field, (0.6, 0.6, 0)) * rng.uniform(0.85, 1.1)
    return np.clip(field + rng.normal(0, 0.05, field.shape), 0, 1)


def collect(n, rng, frequency=None) -> TensorDataset:
    types = rng.choice(len(CELL_TYPES), size=n, p=frequency)
    pixels = np.stack([smear(CELL_TYPES[t], rng) for t in types])
    images = torch.tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2)
    return TensorDataset((images - 0.7) / 0.18, torch.tensor(types))


# --------------------------------------------------------------------------- trainer and callbacks
class Callback:
    def on_epoch_end(self, trainer, epoch, loss): ...


class PrintLoss(Callback):
    def on_epoch_end(self, trainer, epoch, loss):
        print(f"epoch {epoch}: weighted loss {loss:.4f}")


class Schedule(Callback):
    def __init__(self, scheduler):
        self.scheduler = scheduler

    def on_epoch_end(self, trainer, epoch, loss):
        self.scheduler.step()


class Trainer:
    def __init__(self, model, optimizer, criterion, callbacks=()):
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.callbacks = list(callbacks)

    def fit(self, loader, epochs):
        for epoch in range(1, epochs + 1):
            self.model.train()
            total = 0.0
            for images, types in loader:
                flips = [d for d in (2, 3) if torch.rand(()) < 0.5]
                loss = self.criterion(self.model(images.flip(flips)), types)
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item()
            for callback in self.callbacks:
                callback.on_epoch_end(self, epoch, total / len(loader))

    @torch.no_grad()
    def predict(self, loader):
        self.model.eval()
        pairs = [(self.model(images).argmax(1), types) for images, types in loader]
        return torch.cat([p for p, _ in pairs]), torch.cat([t for _, t in pairs])


class SmearNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.mid = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.top = nn.Conv2d(2 * width, 3 * width, 3, padding=1)
        self.fc = nn.Linear(3 * width * 9, len(CELL_TYPES))

    def forward(self, x):
        for conv in (self.stem, self.mid, self.top):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc(x.flatten(1))


def class_weights(types: torch.Tensor) -> torch.Tensor:
    """Inverse square root of the frequency, mean 1."""
    counts = Counter(types.tolist())
    weights = torch.tensor([counts[k] for k in range(len(CELL_TYPES))], dtype=torch.float32).rsqrt()
    return weights / weights.mean()


def main():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    train = collect(1500, rng, FREQUENCY)
    test = collect(600, rng)
    model = SmearNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=1e-2)
    criterion = nn.CrossEntropyLoss(weight=class_weights(train.tensors[1]))
    schedule = Schedule(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9))
    trainer = Trainer(model, optimizer, criterion, [PrintLoss(), schedule])
    trainer.fit(DataLoader(train, batch_size=50, shuffle=True), epochs=9)

    predicted, actual = trainer.predict(DataLoader(test, batch_size=200))
    recalls = [(predicted[actual == k] == k).float().mean().item() for k in range(len(CELL_TYPES))]
    for name, recall in zip(CELL_TYPES, recalls):
        print(f"  {name:11s} recall {recall:.3f}")
    print(f"balanced accuracy {np.mean(recalls):.4f}")


if __name__ == "__main__":
    main()
