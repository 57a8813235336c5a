"""Sorting fruit by colour and outline (apple, orange, lemon, plum, banana)."""

import numpy as np
import torch
from torch import nn, optim

FRUIT = {
    "apple": ((0.8, 0.2, 0.2), 1.0),
    "orange": ((0.8, 0.5, 0.2), 1.0),
    "lemon": ((0.8, 0.7, 0.2), 1.3),
    "plum": ((0.5, 0.2, 0.5), 1.3),
    "banana": ((0.8, 0.7, 0.2), 2.4),
}


def photograph(colour, aspect, rng, size=20):
    yy, xx = np.mgrid[0:size, 0:size] - size / 2
    a = rng.uniform(0, np.pi)
    u = (xx + rng.uniform(-2, 2)) * np.cos(a) + (yy + rng.uniform(-2, 2)) * np.sin(a)
    v = -xx * np.sin(a) + yy * np.cos(a)
    r = rng.uniform(4, 6)
    mask = (u / np.sqrt(aspect)) ** 2 + (v * np.sqrt(aspect)) ** 2 < r**2
    shade = np.array(colour) * rng.uniform(0.8, 1.2) + rng.normal(0, 0.1, 3)
    image = rng.uniform(0.2, 0.6) + 0.15 * rng.standard_normal((3, size, size))
    image[:, mask] = shade[:, None] + 0.15 * rng.standard_normal((3, int(mask.sum())))
    return image


def collect(per_class, rng):
    images, labels = [], []
    for k, (colour, aspect) in enumerate(FRUIT.values()):
        for _ in range(per_class):
            images.append(photograph(colour, aspect, rng))
            labels.append(k)
    x = torch.tensor(np.array(images), dtype=torch.float32)
    return (x - 0.43) / 0.24, torch.tensor(labels)


class Learner:
    def __init__(self, lr=0.02, batch=32):
        self.batch = batch
        self.net = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1),
            nn.ELU(),
            nn.AvgPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ELU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24 * 25, len(FRUIT)),
        )
        self.crit = nn.CrossEntropyLoss()
        self.opt = optim.SGD(self.net.parameters(), lr=lr, momentum=0.9)

    def one_epoch(self, x, y):
        self.net.train()
        n = len(x)
        order = np.random.permutation(n)
        losses = []
        for lo in range(0, n, self.batch):
            pick = order[lo : lo + self.batch]
            self.opt.zero_grad()
            loss = self.crit(self.net(x[pick]), y[pick])
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def accuracy(self, x, y):
        self.net.eval()
        with torch.no_grad():
            return float((self.net(x).argmax(1) == y).float().mean())


if __name__ == "__main__":
    np.random.seed(6)
    torch.manual_seed(6)
    rng = np.random.default_rng(6)
    x_train, y_train = collect(256, rng)
    x_val, y_val = collect(80, rng)
    learner = Learner()
    for epoch in range(8):
        loss = learner.one_epoch(x_train, y_train)
        print(f"epoch {epoch}: mean loss {loss:.3f}, validation {learner.accuracy(x_val, y_val):.3f}")
    print(f"accuracy: {learner.accuracy(x_val, y_val):.3f}")
