"""Weight-standardised convolutions with group norm; the EMA copy is evaluated.

Batches are tiny (16), which is why there is no batch norm; the last batch of
an epoch holds only four pictures and does no harm.  A shadow copy follows the
weights and is the model that counts.
"""
import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class WSConv(nn.Conv2d):
    def forward(self, x):
        w = self.weight
        w = w - w.mean(dim=(1, 2, 3), keepdim=True)
        w = w / (w.std(dim=(1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w * self.weight[0].numel() ** -0.5, self.bias, self.stride, self.padding)


class Ema:
    def __init__(self, model, decay):
        self.decay, self.count = decay, 0
        self.shadow = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        self.count += 1
        d = min(self.decay, (1 + self.count) / (10 + self.count))  # short memory at first
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.lerp_(p, 1 - d)


def spirals(n, seed, s=18):
    """Arms of a spiral: two or three, turning left or right."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:s, 0:s]
    cx, cy = rng.uniform(7.5, 9.5, (2, n, 1, 1))
    phi, r = np.arctan2(yy - cy, xx - cx), np.hypot(yy - cy, xx - cx)
    arms = (2 + y % 2).reshape(n, 1, 1)
    turn = np.where(y >= 2, 1, -1).reshape(n, 1, 1) * rng.uniform(0.5, 0.75, (n, 1, 1))
    x = np.cos(arms * phi + turn * r + rng.uniform(0, 6.28, (n, 1, 1))) * np.exp(-((r - 5) / 5) ** 2)
    x = x + rng.normal(0, 0.2, x.shape)
    return TensorDataset(torch.tensor(x[:, None] / 0.5, dtype=torch.float32), torch.tensor(y))


def stage(cin, cout):
    return nn.Sequential(WSConv(cin, cout, 3, stride=2, padding=1), nn.GroupNorm(4, cout), nn.Mish())


def main():
    torch.manual_seed(71)
    train = DataLoader(spirals(1204, seed=71), batch_size=16, shuffle=True)
    xv, yv = spirals(300, seed=72).tensors
    model = nn.Sequential(stage(1, 16), stage(16, 32), nn.Flatten(), nn.Linear(32 * 25, 4))
    ema = Ema(model, decay=0.98)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 50))
    for epoch in range(4):
        model.train()
        for x, y in train:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            warm.step()
            ema.update(model)
        with torch.no_grad():
            acc = (ema.shadow(xv).argmax(1) == yv).float().mean().item()
        print(f"epoch {epoch}: last loss {loss.item():.3f}, validation of the average {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
