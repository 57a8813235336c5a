"""
Galaxy morphology from volunteers' votes.

Every image was shown to a handful of volunteers, who picked one of five shapes. The network
learns the distribution of the votes; it is judged by how often its first choice is the
majority's.
"""
import logging
import sys

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, Dataset

logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
log = logging.getLogger("galaxies")

SHAPES = ("elliptical", "spiral", "edge_on", "ring", "merger")


class Sky:
    """Draws galaxies, and the volunteers who look at them."""

    def __init__(self, seed, size=24):
        self.rng, self.size = np.random.default_rng(seed), size

    def galaxy(self, shape):
        rng, n = self.rng, self.size
        y, x = np.mgrid[:n, :n] - n / 2 + 0.5
        x, y = x - rng.uniform(-2, 2), y - rng.uniform(-2, 2)
        a, scale = rng.uniform(0, np.pi), rng.uniform(2.2, 3.2)
        q = rng.uniform(0.75, 1.0)
        u, v = x * np.cos(a) + y * np.sin(a), (y * np.cos(a) - x * np.sin(a)) / q
        r, phi = np.hypot(u, v), np.arctan2(v, u)
        if shape == "elliptical":
            img = np.exp(-r / scale)
        elif shape == "spiral":
            arms = np.cos(2 * phi - rng.choice([-1, 1]) * rng.uniform(2.2, 3.0) * np.log(r + 0.5))
            img = np.exp(-r / 1.2) + 0.7 * np.exp(-r / (1.6 * scale)) * np.clip(arms, 0, 1)
        elif shape == "edge_on":
            img = np.exp(-abs(u) / (1.5 * scale) - abs(v * q) / 0.8)
        elif shape == "ring":
            img = 0.7 * np.exp(-r / 0.9) + 0.6 * np.exp(-((r - 2.1 * scale) / 1.2) ** 2)
        else:
            d = rng.uniform(2.5, 4.0)
            img = np.exp(-np.hypot(u - d, v) / 1.6) + rng.uniform(0.5, 0.9) * np.exp(-np.hypot(u + d, v) / 1.6)
        img = gaussian_filter(img, rng.uniform(0.4, 0.8)) * rng.uniform(0.6, 1.4)
        return np.arcsinh(5 * (img + rng.normal(0, 0.12, img.shape)))

    def votes(self, kind):
        seen_by = self.rng.integers(7, 16)
        doubt = self.rng.dirichlet(np.ones(len(SHAPES)))
        p = 0.35 * doubt
        p[kind] += 0.65
        return self.rng.multinomial(seen_by, p)

    def survey(self, n):
        kinds = self.rng.integers(0, len(SHAPES), n)
        images = np.stack([self.galaxy(SHAPES[k]) for k in kinds])
        return images.astype(np.float32)[:, None], np.stack([self.votes(k) for k in kinds]).astype(np.float32)


class Survey(Dataset):
    def __init__(self, images, votes, mean, std, flips=False):
        self.images = torch.from_numpy((images - mean) / std)
        self.votes = torch.from_numpy(votes)
        self.majority = self.votes.argmax(1)
        self.targets = self.votes
        self.flips = flips

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i]
        if self.flips:
            axes = [d for d in (1, 2) if torch.rand(()) < 0.5]
            image = image.flip(axes) if axes else image
        return image, self.targets[i], self.majority[i]


class Morphology(nn.Module):
    def __init__(self, widths=(12, 24, 32)):
        super().__init__()
        layers, c = [], 1
        for w in widths:
            layers += [nn.Conv2d(c, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(2)]
            c = w
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(c * 9, len(SHAPES))

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class Experiment:
    def __init__(self, epochs=8, lr=0.01):
        torch.manual_seed(2024)
        images, votes = Sky(1).survey(1400)
        mean, std = images.mean(), images.std()
        self.train_set = Survey(images, votes, mean, std, flips=True)
        self.val_set = Survey(*Sky(2).survey(300), mean, std)
        self.test_set = Survey(*Sky(3).survey(600), mean, std)
        self.model, self.epochs = Morphology(), epochs
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=lr, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=epochs)

    def train(self):
        loader = DataLoader(self.train_set, batch_size=32, shuffle=True)
        for epoch in range(self.epochs):
            self.model.train()
            losses = []
            for images, targets, _ in loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(images), targets)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            self.scheduler.step()
            log.info("epoch %d  loss %.3f  agreement on validation %.3f",
                     epoch + 1, np.mean(losses), self.agreement(self.val_set))

    @torch.no_grad()
    def agreement(self, data):
        self.model.eval()
        hits = sum((self.model(images).argmax(1) == majority).sum().item()
                   for images, _, majority in DataLoader(data, batch_size=300))
        return hits / len(data)


if __name__ == "__main__":
    experiment = Experiment()
    experiment.train()
    log.info("agreement with the majority, %d test galaxies: %.4f",
             len(experiment.test_set), experiment.agreement(experiment.test_set))
