"""Pollen counter: five kinds of grains from the light microscope, with a small Keras-like wrapper."""
import math

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

KINDS = ["birch", "ragweed", "linden", "pine", "grass"]
SIZE, BATCH, EPOCHS = 24, 32, 5


def grain(rng, kind):
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    dx, dy = xx - rng.uniform(9.5, 13.5), yy - rng.uniform(9.5, 13.5)
    turn, r0 = rng.uniform(0, 2 * np.pi), rng.uniform(4.8, 7.2)
    r, t = np.hypot(dx, dy), np.arctan2(dy, dx) + turn
    u, v = r * np.cos(t), r * np.sin(t)
    rim, inside = r0 * np.ones_like(r), np.full_like(r, 0.55)
    if kind == "birch":
        rim = r0 * (1 + 0.12 * np.cos(3 * t))
    elif kind == "ragweed":
        rim = r0 * (1 + 0.10 * np.cos(11 * t))
    elif kind == "linden":
        inside -= 0.35 * (np.cos(3 * t) > 0.75) * (r > 0.6 * r0)
    elif kind == "grass":
        inside -= 0.35 * (np.hypot(u - 0.45 * r0, v) < 0.25 * r0)
    body = 1 / (1 + np.exp(-(rim - r) / 0.5))
    if kind == "pine":
        for side in (-1, 1):
            lobe = np.hypot(u - side * 0.65 * r0, v - 0.45 * r0)
            body = np.maximum(body * (r < 0.85 * r0), 0.8 / (1 + np.exp(-(0.55 * r0 - lobe) / 0.5)))
    light = rng.uniform(0.7, 1.0) + rng.uniform(-0.01, 0.01) * (xx - 12)
    return light * (1 - inside * body) + rng.normal(0, 0.10, r.shape)


def make(counts, seed):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(KINDS)), counts)
    x = np.stack([grain(rng, KINDS[k]) for k in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


class Grains(Dataset):
    def __init__(self, x, y, mean, std, augment=False):
        self.x, self.y, self.augment = (x - mean) / std, y, augment

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        img = self.x[i]
        if self.augment:
            img = torch.rot90(img, int(torch.randint(4, ())), (1, 2))
            if torch.rand(()) < 0.5:
                img = img.flip(2)
        return img, self.y[i]


class Callback:
    def on_batch_begin(self, model):
        pass

    def on_epoch_end(self, model, logs):
        pass


class OneCycle(Callback):
    """Linear up over the first quarter, cosine down to a thousandth over the rest."""

    def __init__(self, max_lr, total_steps, up=0.25):
        self.max_lr, self.total, self.up, self.t = max_lr, total_steps, up, 0

    def on_batch_begin(self, model):
        p = min(self.t / self.total, 1.0)
        if p < self.up:
            f = 0.1 + 0.9 * p / self.up
        else:
            f = 0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (p - self.up) / (1 - self.up)))
        for group in model.optimizer.param_groups:
            group["lr"] = self.max_lr * f
        self.t += 1


class History(Callback):
    def on_epoch_end(self, model, logs):
        print("  ".join(f"{k} {v:.4g}" for k, v in logs.items()))


class Model:
    def __init__(self, net):
        self.net = net

    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer, loss

    def fit(self, loader, epochs, validation_data, callbacks):
        for epoch in range(1, epochs + 1):
            self.net.train()
            total, seen = 0.0, 0
            for x, y in loader:
                for c in callbacks:
                    c.on_batch_begin(self)
                self.optimizer.zero_grad()
                loss = self.loss(self.net(x), y)
                loss.backward()
                self.optimizer.step()
                total, seen = total + loss.item() * len(y), seen + len(y)
            logs = {"epoch": epoch, "loss": total / seen, "val_acc": self.evaluate(validation_data)}
            for c in callbacks:
                c.on_epoch_end(self, logs)

    @torch.no_grad()
    def evaluate(self, loader):
        self.net.eval()
        hits = [(self.net(x).argmax(1) == y).float() for x, y in loader]
        return torch.cat(hits).mean().item()


torch.manual_seed(11)
x, y = make([230, 140, 90, 70, 50], seed=1)
mean, std = x.mean(), x.std()
train_set = Grains(x, y, mean, std, augment=True)
val_set = Grains(*make([40] * 5, seed=2), mean, std)
test_set = Grains(*make([100] * 5, seed=3), mean, std)

# every kind equally often, each grain seen in about six poses per epoch
weights = 1.0 / torch.bincount(y)[y].double()
sampler = WeightedRandomSampler(weights, num_samples=6 * len(train_set))
train_loader = DataLoader(train_set, batch_size=BATCH, sampler=sampler)
val_loader, test_loader = DataLoader(val_set, batch_size=200), DataLoader(test_set, batch_size=250)


def block(n_in, n_out):
    return [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]


net = nn.Sequential(
    *block(1, 12), *block(12, 24), *block(24, 32),
    nn.Flatten(), nn.Linear(32 * 3 * 3, len(KINDS)),
)
model = Model(net)
model.compile(torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9), nn.CrossEntropyLoss())
cycle = OneCycle(max_lr=0.03, total_steps=EPOCHS * len(train_loader))
model.fit(train_loader, EPOCHS, val_loader, [cycle, History()])
print(f"{len(test_set)} test grains, accuracy {model.evaluate(test_loader):.4f}")
