"""Cloud genera from sky patches, with a small reusable fitting class."""
from __future__ import annotations

import copy
import logging

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, zoom
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("clouds")

GENERA = ["cirrus", "cumulus", "stratus", "altocumulus", "mammatus"]


class SkySimulator:
    def __init__(self, seed: int, size: int = 26):
        self.rng = np.random.default_rng(seed)
        self.size = size

    def field(self, sy: float, sx: float) -> np.ndarray:
        f = gaussian_filter(self.rng.normal(size=(self.size, self.size)), (sy, sx), mode="wrap")
        return (f - f.mean()) / f.std()

    def patch(self, genus: str) -> np.ndarray:
        r, n = self.rng, self.size
        if genus == "cirrus":
            cover = np.clip(self.field(0.9, 3.6) * 0.6 + 0.1, 0, 1)
        elif genus == "cumulus":
            cover = np.clip(self.field(2.6, 2.6) * 1.3, 0, 1)
        elif genus == "stratus":
            cover = np.clip(0.65 + self.field(1.8, 5.5) * 0.22, 0, 1)
        elif genus == "altocumulus":
            cover = np.clip(self.field(1.4, 1.4) * 0.9, 0, 1)
        else:
            cover = np.clip(0.6 + self.field(1.9, 1.9) * 0.3, 0, 1)
        t = np.linspace(0, 1, n)[:, None]
        sky = np.array([0.30, 0.45, 0.70]) * (0.8 + 0.4 * t[..., None]) * np.ones((n, n, 1))
        cloud = np.array([0.90, 0.90, 0.92]) * r.uniform(0.75, 1.05)
        img = sky + (cloud - sky) * (cover * r.uniform(0.55, 0.95))[..., None]
        glare = zoom(r.uniform(-0.12, 0.12, (2, 2)), n / 2, order=1)
        return img * r.uniform(0.85, 1.1) + glare[..., None] + r.normal(0, 0.07, img.shape)

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        y = self.rng.integers(0, len(GENERA), n)
        x = np.stack([self.patch(GENERA[k]) for k in y])
        return torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2), torch.tensor(y)


class CloudNet(nn.Module):
    def __init__(self, width: int = 16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 3 * width, 3, padding=1), nn.LeakyReLU(0.1),
        )
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12 * width, len(GENERA)))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class Fitter:
    def __init__(self, model: nn.Module, lr: float):
        self.model = model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
        # follow the validation accuracy in percent; a gain below half a point counts as none
        self.scheduler = ReduceLROnPlateau(self.optimizer, mode="max", factor=0.1, patience=1,
                                           threshold=0.5, threshold_mode="abs")
        self.best_score, self.best_state = -1.0, None

    def epoch(self, loader: DataLoader) -> float:
        self.model.train()
        total = 0.0
        for x, y in loader:
            if torch.rand(1) < 0.5:
                x = x.flip(3)
            loss = self.criterion(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(x)
        return total / len(loader.dataset)

    @torch.no_grad()
    def score(self, loader: DataLoader) -> float:
        """Accuracy in percent."""
        self.model.eval()
        hits = sum(int((self.model(x).argmax(1) == y).sum()) for x, y in loader)
        return 100.0 * hits / len(loader.dataset)

    def fit(self, train: DataLoader, val: DataLoader, epochs: int) -> None:
        for n in range(1, epochs + 1):
            loss = self.epoch(train)
            score = self.score(val)
            self.scheduler.step(score)
            if score > self.best_score:
                self.best_score, self.best_state = score, copy.deepcopy(self.model.state_dict())
            log.info("epoch %2d  loss %.3f  val %.1f %%", n, loss, score)
        self.model.load_state_dict(self.best_state)


def main() -> None:
    torch.manual_seed(1)
    x, y = SkySimulator(10).sample(1200)
    xv, yv = SkySimulator(11).sample(400)
    xt, yt = SkySimulator(12).sample(500)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    train = DataLoader(TensorDataset((x - mean) / std, y), batch_size=50, shuffle=True)
    val = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=200)
    test = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=250)

    fitter = Fitter(CloudNet(), lr=0.008)
    fitter.fit(train, val, epochs=14)
    log.info("test accuracy %.4f", fitter.score(test) / 100)


if __name__ == "__main__":
    main()
