"""How many dots are on the tile?  (two to five)

Comes with `minikeras`, a few lines that give torch modules a compile/fit/evaluate interface,
including activity regularisation, which we use to keep the feature maps sparse and readable.
"""
import numpy as np
import torch
from torch import nn


# =============================================================== minikeras
class ActivityL1(nn.Module):
    """Identity; remembers the L1 activity of its input so that the model can add it to the loss."""

    def __init__(self, strength):
        super().__init__()
        self.strength = strength
        self.value = None

    def forward(self, x):
        if self.training:
            self.value = self.strength * x.abs().mean()
        return x


class Model(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)

    def compile_with(self, optimizer, loss, schedule=None):
        self.optimizer, self.loss, self.schedule = optimizer, loss, schedule
        return self

    def _activity(self):
        return sum(m.value for m in self.modules() if isinstance(m, ActivityL1))

    def fit(self, x, y, epochs, batch_size, validation):
        history = []
        for epoch in range(1, epochs + 1):
            self.train()
            seen = 0.0
            for rows in torch.randperm(len(x)).split(batch_size):
                self.optimizer.zero_grad()
                data_loss = self.loss(self(x[rows]), y[rows])
                (data_loss + self._activity()).backward()
                self.optimizer.step()
                seen += data_loss.item() * len(rows)
            if self.schedule is not None:
                self.schedule.step()
            val_loss, val_acc = self.evaluate(*validation)
            history.append((seen / len(x), val_loss, val_acc))
            print("Epoch {:2d}/{}  loss: {:.4f}  val_loss: {:.4f}  val_accuracy: {:.4f}".format(epoch, epochs, *history[-1]))
        return history

    def predict(self, x, batch_size=256):
        self.eval()
        with torch.no_grad():
            return torch.cat([self(part) for part in x.split(batch_size)])

    def evaluate(self, x, y):
        scores = self.predict(x)
        return self.loss(scores, y).item(), (scores.argmax(1) == y).float().mean().item()


# =============================================================== data
COUNTS = (2, 3, 4, 5)
SIDE = 24


def tile(count, rng):
    grid_y, grid_x = np.mgrid[0:SIDE, 0:SIDE]
    centres = []
    while len(centres) < count:
        c = rng.uniform(3, SIDE - 4, 2)
        if all(np.hypot(*(c - o)) > 5.0 for o in centres):
            centres.append(c)
    img = np.full((SIDE, SIDE), rng.uniform(0.1, 0.4))
    img += rng.normal(0, 0.1) * (grid_x + grid_y) / (2 * SIDE)
    ink = rng.uniform(0.45, 0.6)
    for cy, cx in centres:
        radius = rng.uniform(1.3, 2.1)
        img += ink / (1 + np.exp(3 * (np.hypot(grid_y - cy, grid_x - cx) - radius)))
    return img + rng.normal(0, 0.05, img.shape)


def tiles(n, rng):
    y = rng.integers(0, len(COUNTS), n)
    x = np.stack([tile(COUNTS[k], rng) for k in y])
    return torch.from_numpy(x).float()[:, None], torch.from_numpy(y)


# =============================================================== experiment
def conv(cin, cout, stride=1):
    layer = nn.Conv2d(cin, cout, 3, stride=stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def build():
    return Model(
        conv(1, 16), nn.ReLU(), ActivityL1(1e-2),
        nn.MaxPool2d(2),
        conv(16, 32), nn.ReLU(), ActivityL1(1e-2),
        conv(32, 32, stride=2), nn.ReLU(), ActivityL1(1e-2),
        nn.AvgPool2d(3), nn.Flatten(),
        nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(64, len(COUNTS)),
    )


def main():
    torch.manual_seed(2024)
    rng = np.random.default_rng(2024)
    x, y = tiles(2400, rng)
    xv, yv = tiles(400, rng)
    xt, yt = tiles(600, rng)
    mu, sd = x.mean(), x.std()
    x, xv, xt = (x - mu) / sd, (xv - mu) / sd, (xt - mu) / sd

    model = build()
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.compile_with(adam, nn.CrossEntropyLoss(), torch.optim.lr_scheduler.CosineAnnealingLR(adam, 9))
    model.fit(x, y, epochs=9, batch_size=40, validation=(xv, yv))
    _, acc = model.evaluate(xt, yt)
    print("test accuracy {:.4f}".format(acc))


main()
