"""Trainer with callbacks; the weights to report are picked by the checkpoint callback."""
import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Options:
    classes: int = 5
    side: int = 20
    counts: tuple = (500, 150, 150)
    batch: int = 50
    epochs: int = 7
    lr: float = 3e-3
    seed: int = 6


def spirals(n, opt, seed):
    """Spiral arms: the class sets the number of arms; rotation and handedness are free."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % opt.classes)
    g = np.mgrid[:opt.side, :opt.side] - (opt.side - 1) / 2
    x = np.empty((n, 1, opt.side, opt.side), np.float32)
    for i, c in enumerate(y):
        dy, dx = g[0] + rng.uniform(-1, 1), g[1] + rng.uniform(-1, 1)
        phase = (c + 1) * np.arctan2(dy, dx) + rng.choice((-1, 1)) * 0.25 * np.hypot(dy, dx)
        x[i, 0] = np.cos(phase + rng.uniform(0, 2 * math.pi)) + rng.normal(0, 0.7, g[0].shape)
    return torch.from_numpy(x), torch.from_numpy(y)


class DataModule:
    def __init__(self, opt):
        parts = [spirals(n, opt, opt.seed * 10 + k) for k, n in enumerate(opt.counts)]
        mean, std = parts[0][0].mean(), parts[0][0].std()
        sets = [TensorDataset((x - mean) / std, y) for x, y in parts]
        self.train = DataLoader(sets[0], opt.batch, shuffle=True)
        self.val = DataLoader(sets[1], 150)
        self.test = DataLoader(sets[2], 150)


class Callback:
    def after_epoch(self, trainer, epoch): ...
    def after_fit(self, trainer): ...


class Checkpoint(Callback):
    """Keeps the weights with the highest score on its loader and restores them at the end."""

    def __init__(self, loader):
        self.loader, self.best, self.state = loader, -1.0, None

    def after_epoch(self, trainer, epoch):
        score = trainer.evaluate(self.loader)
        if score > self.best:
            self.best, self.state = score, copy.deepcopy(trainer.model.state_dict())

    def after_fit(self, trainer):
        trainer.model.load_state_dict(self.state)


class Log(Callback):
    def after_epoch(self, trainer, epoch):
        print(f"epoch {epoch}: loss {trainer.last_loss:.3f}")


class Trainer:
    def __init__(self, model, data, opt, callbacks):
        self.model, self.data, self.callbacks = model, data, callbacks
        self.optimizer = torch.optim.Adam(model.parameters(), lr=opt.lr)
        self.last_loss = float("nan")

    def fire(self, event, *args):
        for cb in self.callbacks:
            getattr(cb, event)(self, *args)

    def fit(self, epochs):
        for epoch in range(epochs):
            self.model.train()
            for x, y in self.data.train:
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self.model(x), y)
                loss.backward()
                self.optimizer.step()
            self.last_loss = loss.item()
            self.fire("after_epoch", epoch)
        self.fire("after_fit")

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader)
        return hits / len(loader.dataset)


def make_model(classes):
    def unit(cin, cout):
        return nn.Sequential(nn.Conv2d(cin, cout, 5, 2, 2, bias=False), nn.BatchNorm2d(cout), nn.ReLU())

    return nn.Sequential(unit(1, 16), unit(16, 32), nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 25, classes))


def main():
    opt = Options()
    torch.manual_seed(opt.seed)
    data = DataModule(opt)
    trainer = Trainer(make_model(opt.classes), data, opt, [Log(), Checkpoint(data.val)])
    trainer.fit(opt.epochs)
    print(f"accuracy: {trainer.evaluate(data.test):.3f}")


if __name__ == "__main__":
    main()
