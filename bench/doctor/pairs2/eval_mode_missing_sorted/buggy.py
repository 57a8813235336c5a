import argparse

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Blots(Dataset):
    """Coloured blots on paper; four inks. Kept class by class, as the scans were filed."""

    inks = np.array([[0.8, 0.3, 0.3], [0.3, 0.7, 0.3], [0.3, 0.4, 0.8], [0.6, 0.6, 0.25]], np.float32)

    def __init__(self, per_class, seed):
        rng = np.random.default_rng(seed)
        self.x, self.y = [], []
        for k, ink in enumerate(self.inks):
            for _ in range(per_class):
                img = np.full((3, 20, 20), 0.8, np.float32) * rng.uniform(0.7, 1.1)
                a, b = rng.integers(2, 10, 2)
                img[:, a:a + 8, b:b + 8] = (ink + rng.normal(0, 0.1, 3))[:, None, None]
                self.x.append(img + rng.normal(0, 0.12, img.shape).astype(np.float32))
                self.y.append(k)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy((self.x[i] - 0.6).astype(np.float32) / 0.2), self.y[i]


def make_model():
    def cbr(a, b):
        return nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()
    return nn.Sequential(*cbr(3, 16), *cbr(16, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4))


@torch.no_grad()
def score(model, loader):
    right = 0
    for x, y in loader:
        right += model(x).argmax(1).eq(y).sum().item()
    return right / len(loader.dataset)


def main(argv=None):
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=8)
    ap.add_argument("--bs", type=int, default=32)
    a = ap.parse_args(argv)
    torch.manual_seed(0)
    model = make_model()
    train_dl = DataLoader(Blots(200, 0), batch_size=a.bs, shuffle=True, drop_last=True)
    test_dl = DataLoader(Blots(100, 1), batch_size=50)
    opt = torch.optim.Adam(model.parameters(), 2e-3)
    for ep in range(a.epochs):
        model.train()
        for x, y in train_dl:
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
        print("epoch", ep, "loss", loss.item())
    print(f"accuracy: {score(model, test_dl):.3f}")


if __name__ == "__main__":
    main()
