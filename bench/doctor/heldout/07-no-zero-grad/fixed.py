from dataclasses import dataclass

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    lr: float = 0.05
    momentum: float = 0.9
    epochs: int = 6
    batch_size: int = 40
    n_train: int = 1600
    n_valid: int = 500
    seed: int = 5


class BlobGrid(Dataset):
    """A gaussian blob of random width in one of nine cells."""

    def __init__(self, n, seed):
        r = np.random.default_rng(seed)
        self.y = r.integers(0, 9, size=n)
        gy, gx = np.mgrid[:18, :18]
        cy = (self.y // 3) * 6 + r.uniform(1.5, 4.5, n)
        cx = (self.y % 3) * 6 + r.uniform(1.5, 4.5, n)
        s = r.uniform(1.0, 2.0, n)
        d2 = (gy[None] - cy[:, None, None]) ** 2 + (gx[None] - cx[:, None, None]) ** 2
        img = np.exp(-d2 / (2 * s[:, None, None] ** 2)) + r.normal(0, 0.35, (n, 18, 18))
        self.x = ((img - img.mean()) / img.std()).astype("float32")[:, None]

    def __len__(self):
        return self.y.size

    def __getitem__(self, k):
        return torch.from_numpy(self.x[k]), torch.tensor(self.y[k])


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3),
        )
        self.cls = nn.Sequential(nn.Flatten(), nn.Linear(16 * 9, 32), nn.ReLU(), nn.Linear(32, 9))

    def forward(self, t):
        return self.cls(self.body(t))


def step(net, batch, crit, optimiser):
    x, y = batch
    optimiser.zero_grad()
    out = net(x)
    loss = crit(out, y)
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def validate(net, dl):
    net.eval()
    with torch.no_grad():
        res = [(net(x).argmax(1) == y) for x, y in dl]
    return torch.cat(res).float().mean().item()


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    dl = DataLoader(BlobGrid(cfg.n_train, 1), cfg.batch_size, shuffle=True)
    vdl = DataLoader(BlobGrid(cfg.n_valid, 2), 250)
    net = Classifier()
    optimiser = optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    crit = nn.CrossEntropyLoss()
    for e in range(cfg.epochs):
        net.train()
        losses = [step(net, b, crit, optimiser) for b in dl]
        print(f"{e:>3} {np.mean(losses):.4f}")
    print(f"accuracy: {validate(net, vdl):.4f}")


if __name__ == "__main__":
    main()
