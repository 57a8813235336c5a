"""Depthwise-separable net on small spectrogram-like images stored as rows of a table."""
import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

H, W, KINDS = 20, 24, 5


def simulate(kind, rng):
    t = np.arange(W)
    centre = rng.uniform(5, H - 6)
    slope = (-0.45, 0.0, 0.45)[kind] if kind < 3 else 0.0
    track = centre + slope * (t - W / 2)
    if kind == 3:
        track = centre + 3.5 * np.sin(0.6 * t + rng.uniform(0, 6.28))
    f = np.arange(H)[:, None]
    energy = np.exp(-((f - track) ** 2) / 2.5)
    if kind == 4:
        energy = energy * (np.sin(0.9 * t + rng.uniform(0, 6.28)) > 0)
    return energy * rng.uniform(0.8, 1.3) + rng.normal(0, 0.15, (H, W))


def write_table(per_kind, seed):
    """One row per image: H*W values, then the label."""
    rng = np.random.default_rng(seed)
    rows = [np.append(simulate(k, rng).ravel(), k) for k in range(KINDS) for _ in range(per_kind)]
    store = io.BytesIO()
    np.save(store, np.stack(rows).astype(np.float32))
    store.seek(0)
    return store


def read_table(store):
    table = torch.from_numpy(np.load(store))
    return table[:, :-1].reshape(-1, 1, H, W), table[:, -1:].long()


def separable(a, b, stride):
    return nn.Sequential(
        nn.Conv2d(a, a, 3, stride=stride, padding=1, groups=a, bias=False), nn.BatchNorm2d(a), nn.ReLU6(),
        nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU6(),
    )


class SeparableNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.blocks = nn.Sequential(separable(16, 32, 2), separable(32, 48, 2))
        self.head = nn.Linear(48, KINDS)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(dim=(-2, -1)))


def batch_loss(net, batch):
    x, y = batch
    return F.cross_entropy(net(x), y.squeeze(1))


def batch_accuracy(net, batch):
    x, y = batch
    return (net(x).argmax(dim=1) == y).float().mean()


def main():
    torch.manual_seed(4)
    x, y = read_table(write_table(120, seed=10))
    xt, yt = read_table(write_table(60, seed=20))
    m, s = x.mean(), x.std()
    train = DataLoader(TensorDataset((x - m) / s, y), batch_size=30, shuffle=True)
    test = DataLoader(TensorDataset((xt - m) / s, yt), batch_size=100, shuffle=True)
    net = SeparableNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(6):
        net.train()
        losses = []
        for batch in train:
            opt.zero_grad()
            loss = batch_loss(net, batch)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: {np.mean(losses):.3f}")
    net.eval()
    with torch.no_grad():
        scores = torch.stack([batch_accuracy(net, batch) for batch in test])
    print(f"accuracy: {scores.mean().item():.3f}")


if __name__ == "__main__":
    main()
