"""Phases of the moon from small telescope pictures, in a module/runner style."""
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

PHASES = ["waxing crescent", "first quarter", "waxing gibbous", "full", "waning gibbous", "last quarter", "waning crescent"]
CENTRES = [50, 90, 130, 180, 230, 270, 310]         # degrees of elongation
N = 28


def observe(elongation, rng):
    y, x = np.mgrid[0:N, 0:N] - (N - 1) / 2
    y, x = y - rng.uniform(-3, 3), x - rng.uniform(-3, 3)
    tilt = np.deg2rad(rng.uniform(-20, 20))
    u, v = x * np.cos(tilt) + y * np.sin(tilt), -x * np.sin(tilt) + y * np.cos(tilt)
    r = rng.uniform(7.5, 10)
    z = np.sqrt(np.clip(r * r - u * u - v * v, 0, None)) / r
    e = np.deg2rad(elongation)
    light = np.sin(e) * u / r - np.cos(e) * z        # lit side on the right while waxing
    disc = (u * u + v * v < r * r)
    lit = disc * np.clip(light * 4, 0, 1)
    seas = np.ones((N, N))
    for _ in range(4):
        a, b = rng.uniform(-6, 6, 2)
        seas -= 0.3 * np.exp(-((u - a) ** 2 + (v - b) ** 2) / 6)
    sky = rng.uniform(0.02, 0.15)
    img = sky + 0.06 * disc + rng.uniform(0.5, 0.8) * lit * seas
    for _ in range(rng.integers(0, 6)):              # stars
        i, j = rng.integers(0, N, 2)
        img[i, j] = max(img[i, j], rng.uniform(0.3, 0.8))
    return img + rng.normal(0, 0.08, (N, N))


def catalogue(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(PHASES), count)
    pics = np.stack([observe(CENTRES[k] + rng.uniform(-13, 13), rng) for k in labels])
    return TensorDataset(torch.from_numpy(pics).float().unsqueeze(1), torch.from_numpy(labels))


class MoonModule(nn.Module):
    def __init__(self, hparams):
        super().__init__()
        self.hparams = hparams
        self.net = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Flatten(), nn.Linear(32 * 7 * 7, len(PHASES)),
        )
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x):
        return self.net((x - 0.2) / 0.25)

    def clouds(self, x):
        """Drifting clouds and passing branches, and an unsteady mount."""
        x = torch.roll(x, tuple(torch.randint(-2, 3, (2,)).tolist()), dims=(2, 3))
        x = x * torch.empty(len(x), 1, 1, 1).uniform_(0.6, 1.3)
        size = 10
        for i, (top, left) in enumerate(torch.randint(2, N - size - 1, (len(x), 2)).tolist()):
            x[i, :, top:top + size, left:left + size] = 0.1
        return x

    # hooks ---------------------------------------------------------------
    def on_after_batch_transfer(self, batch):
        x, y = batch
        x = self.clouds(x)
        return x, y

    def training_step(self, batch):
        x, y = batch
        return self.criterion(self(x), y)

    def validation_step(self, batch):
        x, y = batch
        return (self(x).argmax(dim=1) == y).sum()

    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        return opt, torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=self.hparams.max_epochs)


class Runner:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def batches(self, module, loader):
        for batch in loader:
            yield module.on_after_batch_transfer(batch)

    def fit(self, module, train_loader, val_loader):
        opt, sched = module.configure_optimizers()
        for epoch in range(self.max_epochs):
            module.train()
            for batch in self.batches(module, train_loader):
                opt.zero_grad()
                loss = module.training_step(batch)
                loss.backward()
                opt.step()
            sched.step()
            print(f"epoch {epoch}: loss {loss.item():.3f}, val_acc {self.validate(module, val_loader):.3f}")

    @torch.no_grad()
    def validate(self, module, loader):
        module.eval()
        hits = sum(module.validation_step(batch).item() for batch in self.batches(module, loader))
        return hits / len(loader.dataset)


def main():
    hparams = SimpleNamespace(lr=3e-3, max_epochs=7, batch_size=45)
    torch.manual_seed(99)
    train, val = random_split(catalogue(2400, seed=7), [1800, 600], generator=torch.Generator().manual_seed(7))
    module = MoonModule(hparams)
    runner = Runner(hparams.max_epochs)
    val_loader = DataLoader(val, batch_size=100)
    runner.fit(module, DataLoader(train, batch_size=hparams.batch_size, shuffle=True), val_loader)
    print(f"validation accuracy {runner.validate(module, val_loader):.3f}")


if __name__ == "__main__":
    main()
