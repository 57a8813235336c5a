"""Crystal habits under the microscope. Rare habits matter as much as common ones,
so the loss is weighted and the score is measured on a balanced test set."""
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

HABITS = ("needle", "plate", "cube", "dendrite")


class Hyper(NamedTuple):
    counts: tuple = (40, 80, 300, 780)
    test_each: int = 120
    batch: int = 40
    epochs: int = 8
    lr: float = 2e-3
    beta: float = 1.0


def specimen(habit, g):
    s = 28
    yy, xx = np.mgrid[:s, :s] - (s - 1) / 2
    yy, xx = yy + g.uniform(-3, 3), xx + g.uniform(-3, 3)
    a = g.uniform(0, np.pi)
    u, v = xx * np.cos(a) + yy * np.sin(a), yy * np.cos(a) - xx * np.sin(a)
    r = g.uniform(6, 10)
    if habit == 0:
        body = (np.abs(u) < r) & (np.abs(v) < 0.26 * r)
    elif habit == 1:
        body = (np.abs(u) < r) & (np.abs(v) < 0.52 * r)
    elif habit == 2:
        body = np.maximum(np.abs(u), np.abs(v)) < 0.8 * r
    else:
        body = u ** 2 + v ** 2 < (0.75 * r * (1 + 0.28 * np.cos(6 * np.arctan2(v, u)))) ** 2
    img = g.uniform(0.2, 0.4) + g.uniform(0.2, 0.4) * body
    return (img + g.normal(0, 0.13, (s, s))).astype(np.float32)


class Specimens(Dataset):
    def __init__(self, counts, seed, stats=None):
        g = np.random.default_rng(seed)
        self.labels = np.repeat(np.arange(len(HABITS)), counts)
        g.shuffle(self.labels)
        self.images = np.stack([specimen(k, g) for k in self.labels])
        self.stats = stats or (float(self.images.mean()), float(self.images.std()))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        mean, std = self.stats
        return torch.from_numpy((self.images[i] - mean) / std)[None], int(self.labels[i])


def class_weights(labels, beta):
    """Inverse frequency to the power beta, scaled to mean 1."""
    freq = Counter(labels.tolist())
    w = torch.tensor([freq[k] for k in range(len(HABITS))], dtype=torch.float)
    w = w.pow(-beta)
    return w / w.mean()


class HabitNet(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        def stage(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
        self.stages = nn.Sequential(stage(1, width), stage(width, 2 * width), stage(2 * width, 4 * width))
        self.out = nn.Linear(4 * width * 9, len(HABITS))

    def forward(self, x):
        return self.out(self.stages(x).flatten(1))


class Trainer:
    def __init__(self, hp):
        self.hp = hp
        self.train_set = Specimens(hp.counts, seed=1)
        self.test_set = Specimens((hp.test_each,) * len(HABITS), seed=2, stats=self.train_set.stats)
        self.net = HabitNet()
        self.loss = nn.CrossEntropyLoss(weight=class_weights(self.train_set.labels, hp.beta))
        self.opt = torch.optim.Adam(self.net.parameters(), lr=hp.lr)

    def fit(self):
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, T_max=self.hp.epochs)
        loader = DataLoader(self.train_set, batch_size=self.hp.batch, shuffle=True)
        for epoch in range(self.hp.epochs):
            self.net.train()
            losses = []
            for x, y in loader:
                self.opt.zero_grad()
                loss = self.loss(self.net(x), y)
                loss.backward()
                self.opt.step()
                losses.append(loss.item())
            plan.step()
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")
        return self

    @torch.no_grad()
    def recall(self):
        self.net.eval()
        hit = torch.zeros(len(HABITS))
        for x, y in DataLoader(self.test_set, batch_size=self.hp.batch):
            ok = self.net(x).argmax(1) == y
            hit += torch.bincount(y[ok], minlength=len(HABITS))
        return hit / self.hp.test_each


if __name__ == "__main__":
    torch.manual_seed(8)
    per_class = Trainer(Hyper()).fit().recall()
    print({h: round(r, 3) for h, r in zip(HABITS, per_class.tolist())})
    print(f"accuracy: {per_class.mean().item():.3f}")
