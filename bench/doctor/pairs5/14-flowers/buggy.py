"""Petal counting on synthetic flowers; trainer with callbacks, GeM pooling borrowed from our image retrieval code."""
import logging
import sys
from collections import defaultdict

import numpy as np
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, Dataset

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname).1s %(message)s")
log = logging.getLogger("flowers")


class Flowers(Dataset):
    """Flowers with 3..7 petals; colour, size, position, rotation and lighting vary."""

    petals = (3, 4, 5, 6, 7)
    side = 28

    def __init__(self, n: int, seed: int):
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, len(self.petals), n)
        self.images = np.stack([self._draw(self.petals[k], rng) for k in self.labels]).astype(np.float32)

    def _draw(self, k: int, rng: np.random.Generator) -> np.ndarray:
        s = self.side
        yy, xx = np.mgrid[0:s, 0:s].astype(np.float32)
        cx, cy = s / 2 + rng.uniform(-2.5, 2.5, 2)
        size = rng.uniform(9.5, 12)
        theta = np.arctan2(yy - cy, xx - cx)
        radius = np.hypot(yy - cy, xx - cx)
        outline = size * (0.62 + 0.38 * np.cos(k * theta + rng.uniform(0, 2 * np.pi)))
        petal = 1 / (1 + np.exp((radius - outline) * 1.5))
        heart = (radius < 0.22 * size).astype(np.float32)
        green = np.array([0.15, rng.uniform(0.25, 0.45), 0.12])
        colour = np.array([rng.uniform(0.6, 1), rng.uniform(0.2, 0.9), rng.uniform(0.4, 1)])
        img = green[:, None, None] * (1 - petal) + colour[:, None, None] * petal
        img = img * (1 - heart) + np.array([0.95, 0.8, 0.1])[:, None, None] * heart
        img = img * rng.uniform(0.7, 1.1) + rng.normal(0, 0.05, img.shape)
        return np.clip(img, 0, 1)

    def standardise(self, mean: np.ndarray, std: np.ndarray) -> "Flowers":
        self.images = ((self.images - mean) / std).astype(np.float32)
        return self

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        return torch.from_numpy(self.images[i]), int(self.labels[i])


class GeM(nn.Module):
    """Generalised mean pooling with a trainable exponent (Radenovic et al., 2018)."""

    def __init__(self, p: float = 3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))

    def forward(self, x: Tensor) -> Tensor:
        return x.pow(self.p).mean(dim=(2, 3)).pow(1.0 / self.p)


class FlowerNet(nn.Module):
    def __init__(self, classes: int):
        super().__init__()
        chans = (3, 16, 32, 64)
        layers = []
        for cin, cout in zip(chans, chans[1:]):
            layers += [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
        self.backbone = nn.Sequential(*layers[:-1])
        self.pool = GeM()
        self.classifier = nn.Linear(chans[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.backbone(x)))


class Callback:
    def on_fit_begin(self, trainer): ...
    def on_batch_end(self, trainer): ...
    def on_epoch_end(self, trainer): ...


class Report(Callback):
    def on_epoch_end(self, t):
        log.info("epoch %d  " % t.epoch + "  ".join(f"{k} {np.mean(v):.4f}" for k, v in t.logs.items()))


class OneCycle(Callback):
    def __init__(self, max_lr: float):
        self.max_lr = max_lr

    def on_fit_begin(self, t):
        self.sched = torch.optim.lr_scheduler.OneCycleLR(t.optimizer, self.max_lr, total_steps=t.epochs * len(t.train_loader))

    def on_batch_end(self, t):
        self.sched.step()


class Validate(Callback):
    def __init__(self, loader: DataLoader):
        self.loader = loader

    def on_epoch_end(self, t):
        t.logs["val_acc"].append(t.score(self.loader))


class Trainer:
    def __init__(self, model: nn.Module, optimizer, train_loader: DataLoader, callbacks):
        self.model, self.optimizer, self.train_loader, self.callbacks = model, optimizer, train_loader, callbacks
        self.criterion = nn.CrossEntropyLoss()

    def _call(self, hook: str):
        for c in self.callbacks:
            getattr(c, hook)(self)

    def fit(self, epochs: int):
        self.epochs = epochs
        self._call("on_fit_begin")
        for self.epoch in range(epochs):
            self.logs = defaultdict(list)
            self.model.train()
            for x, y in self.train_loader:
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.criterion(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.logs["loss"].append(loss.item())
                self._call("on_batch_end")
            self._call("on_epoch_end")

    @torch.no_grad()
    def score(self, loader: DataLoader) -> float:
        self.model.eval()
        hits = [(self.model(x).argmax(1) == y) for x, y in loader]
        return torch.cat(hits).float().mean().item()


def run(seed: int = 5):
    torch.manual_seed(seed)
    train, val, test = Flowers(1280, seed), Flowers(300, seed + 1), Flowers(500, seed + 2)
    mean, std = train.images.mean((0, 2, 3))[:, None, None], train.images.std((0, 2, 3))[:, None, None]
    for part in (train, val, test):
        part.standardise(mean, std)
    loaders = [DataLoader(train, 32, shuffle=True), DataLoader(val, 100), DataLoader(test, 100)]

    model = FlowerNet(len(Flowers.petals))
    trainer = Trainer(model, torch.optim.Adam(model.parameters(), lr=3e-3), loaders[0], [Validate(loaders[1]), OneCycle(3e-3), Report()])
    trainer.fit(epochs=9)
    log.info("done, test accuracy %.4f", trainer.score(loaders[2]))


if __name__ == "__main__":
    run()
