"""Ordinal regression: how many dots are there, 1 to 5?

CORAL head (Cao et al., 2020): one shared score plus four ordered thresholds,
i.e. four logits for five classes.  The k-th logit answers "more than k dots?",
so the loss is a sum of binary cross-entropies and starts near 4 ln 2 = 2.77.
The predicted class is the number of thresholds passed.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LEVELS, SIDE = 5, 24


def dots(n, rng):
    labels = rng.integers(0, LEVELS, n)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    images = rng.normal(0, 0.15, (n, 1, SIDE, SIDE))
    cells = np.stack(np.meshgrid([4, 12, 20], [4, 12, 20]), -1).reshape(-1, 2)
    for image, label in zip(images, labels):
        chosen = cells[rng.permutation(9)[: label + 1]] + rng.uniform(-1.5, 1.5, (label + 1, 2))
        for cx, cy in chosen:
            image[0] += rng.uniform(0.8, 1.2) * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / 3.0)
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels)


class Coral(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),  # an average keeps a count
        )
        self.score = nn.Linear(24, 1, bias=False)
        self.thresholds = nn.Parameter(torch.linspace(0.5, -0.5, LEVELS - 1))

    def forward(self, x):
        return self.score(self.trunk(x)) + self.thresholds


def targets(y):
    return (y[:, None] > torch.arange(LEVELS - 1)).float()


def coral_loss(logits, y):
    return F.binary_cross_entropy_with_logits(logits, targets(y), reduction="none").sum(1).mean()


def predict(logits):
    return (logits > 0).sum(1)


def main():
    torch.manual_seed(17)
    rng = np.random.default_rng(17)
    train, valid = dots(1500, rng), dots(400, rng)
    mean, std = train[0].mean(), train[0].std()
    (x, y), (xv, yv) = [((a - mean) / std, b) for a, b in (train, valid)]

    net = Coral()
    opt = torch.optim.Adam(net.parameters(), lr=1e-2)
    plan = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=2)
    for epoch in range(14):
        net.train()
        for idx in torch.randperm(len(x)).split(50):
            opt.zero_grad()
            loss = coral_loss(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            out = net(xv)
        valid_loss = coral_loss(out, yv).item()
        plan.step(valid_loss)
        acc = (predict(out) == yv).float().mean().item()
        off = (predict(out) - yv).abs().float().mean().item()
        print(f"epoch {epoch}: validation loss {valid_loss:.3f}, exact {acc:.3f}, mean error {off:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
