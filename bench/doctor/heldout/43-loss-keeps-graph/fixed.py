import logging

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
log = logging.getLogger(__name__)


def batches(x, y, size, rng=None):
    order = np.arange(len(x)) if rng is None else rng.permutation(len(x))
    for s in range(0, len(order), size):
        sel = order[s : s + size]
        yield torch.from_numpy(x[sel]), torch.from_numpy(y[sel])


def moons(n, rng):
    """Phases of the moon: five phases, waxing to waning."""
    gy, gx = np.mgrid[-1:1:18j, -1:1:18j]
    y = rng.integers(0, 5, n)
    disc = (gy**2 + gx**2 < 0.8).astype(np.float32)
    terminator = (y / 2.0 - 1.0)[:, None, None] * 0.8 + rng.normal(0, 0.05, (n, 1, 1))
    lit = disc[None] * (gx[None] < terminator + 0.2 * np.abs(gy[None]))
    x = 0.2 * disc[None] + 0.8 * lit + rng.normal(0, 0.25, (n, 18, 18))
    return ((x - 0.3) / 0.4).astype(np.float32)[:, None], y.astype(np.int64)


class MoonNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3)
        self.c2 = nn.Conv2d(8, 16, 3)
        self.pool = nn.MaxPool2d(2)
        self.elu = nn.ELU()
        self.fc = nn.Linear(16 * 9, 5)

    def forward(self, x):
        x = self.pool(self.elu(self.c1(x)))
        x = self.pool(self.elu(self.c2(x)))
        return self.fc(torch.flatten(x, 1))


def fit(model, train, valid, epochs, rng):
    opt = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        running_loss, n = 0.0, 0
        for xb, yb in batches(*train, 25, rng):
            opt.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            opt.step()
            running_loss += loss.item() * len(xb)
            n += len(xb)
        log.info("epoch %d mean loss %.4f valid %.4f", epoch, running_loss / n, score(model, valid))


@torch.no_grad()
def score(model, valid):
    model.eval()
    return float(torch.cat([model(a).argmax(1).eq(b) for a, b in batches(*valid, 100)]).float().mean())


def main():
    torch.manual_seed(50)
    rng = np.random.default_rng(50)
    train, valid = moons(1500, rng), moons(500, rng)
    model = MoonNet()
    fit(model, train, valid, 5, rng)
    print(f"accuracy: {score(model, valid):.4f}")


if __name__ == "__main__":
    main()
