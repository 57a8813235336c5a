"""Galaxy morphology with a small trainer and callbacks. The catalogue is ordered by type."""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TYPES = ("elliptical", "spiral", "edge_on", "ring", "merger")


class Sky:
    def __init__(self, seed, side=26):
        self.rng, self.side = np.random.default_rng(seed), side

    def galaxy(self, kind):
        rng = self.rng
        v, u = np.mgrid[0:self.side, 0:self.side] - (self.side - 1) / 2
        u, v = u - rng.uniform(-2, 2), v - rng.uniform(-2, 2)
        a = rng.uniform(0, np.pi)
        u, v = u * np.cos(a) + v * np.sin(a), v * np.cos(a) - u * np.sin(a)
        r, th = np.hypot(u, v / rng.uniform(0.6, 1.0)), np.arctan2(v, u)
        scale = rng.uniform(2.5, 3.8)
        core = np.exp(-r / scale)
        if kind == "spiral":
            wind = rng.choice([-1, 1]) * rng.uniform(1.8, 2.4)
            light = 0.6 * core + 0.7 * np.exp(-r / (1.8 * scale)) * np.clip(np.cos(2 * th - wind * np.log(r + 1) * 2), 0, 1)
        elif kind == "edge_on":
            light = np.exp(-np.abs(u) / (1.6 * scale) - np.abs(v) / 1.0)
        elif kind == "ring":
            light = 0.6 * np.exp(-r / 1.5) + 0.5 * np.exp(-((r - 2.2 * scale) / 1.3) ** 2)
        elif kind == "merger":
            d = rng.uniform(3.0, 5.0)
            light = np.exp(-np.hypot(u - d, v) / 2.0) + rng.uniform(0.5, 1.0) * np.exp(-np.hypot(u + d, v - 1) / 2.0)
        else:
            light = core
        light = light * rng.uniform(0.7, 1.4)
        return np.arcsinh(4 * np.clip(light, 0, None)) + rng.normal(0, 0.16, light.shape)

    def catalogue(self, per_type):
        x = np.stack([self.galaxy(t) for t in TYPES for _ in range(per_type)]).astype(np.float32)
        return torch.from_numpy(x)[:, None], torch.arange(len(TYPES)).repeat_interleave(per_type)


def build_net():
    def stage(c_in, c_out):
        return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.SiLU(), nn.AvgPool2d(2)]

    return nn.Sequential(*stage(1, 14), *stage(14, 28), *stage(28, 56), nn.Flatten(), nn.Dropout(0.2),
                         nn.Linear(56 * 9, len(TYPES)))


class Callback:
    def on_step(self, trainer): pass
    def on_epoch(self, trainer, epoch): pass


class WeightAverage(Callback):
    """Exponential moving average of the weights; it is the averaged net that gets used."""

    def __init__(self, net, decay=0.95):
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def on_step(self, trainer):
        for mine, theirs in zip(self.net.parameters(), trainer.net.parameters()):
            mine.lerp_(theirs, 1 - self.decay)
        for mine, theirs in zip(self.net.buffers(), trainer.net.buffers()):
            mine.copy_(theirs)


class KeepBest(Callback):
    def __init__(self, average, loader):
        self.average, self.loader, self.best, self.state = average, loader, -1.0, None

    def on_epoch(self, trainer, epoch):
        score = trainer.score(self.average.net, self.loader)
        print(f"epoch {epoch + 1}: loss {trainer.loss:.3f}, validation accuracy {score:.3f}")
        if score > self.best:
            self.best, self.state = score, copy.deepcopy(self.average.net.state_dict())


class Trainer:
    def __init__(self, net, loader, epochs, lr):
        self.net, self.loader, self.epochs = net, loader, epochs
        self.criterion = nn.CrossEntropyLoss()
        decayed = [p for p in net.parameters() if p.ndim > 1]
        others = [p for p in net.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}], lr=lr)
        self.callbacks, self.loss = [], float("nan")

    def fit(self):
        for epoch in range(self.epochs):
            self.net.train()
            total = 0.0
            for x, y in self.loader:
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.criterion(self.net(x), y)
                loss.backward()
                self.optimizer.step()
                total += loss.item()
                for c in self.callbacks:
                    c.on_step(self)
            self.loss = total / len(self.loader)
            self.net.eval()
            for c in self.callbacks:
                c.on_epoch(self, epoch)

    @staticmethod
    @torch.no_grad()
    def score(net, loader):
        return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(3)
    sky = Sky(3)
    (x, y), (xv, yv), (xt, yt) = sky.catalogue(260), sky.catalogue(50), sky.catalogue(100)
    m, s = x.mean(), x.std()
    loader = DataLoader(TensorDataset((x - m) / s, y), batch_size=50, shuffle=True)
    val = DataLoader(TensorDataset((xv - m) / s, yv), batch_size=50)
    test = DataLoader(TensorDataset((xt - m) / s, yt), batch_size=50)

    trainer = Trainer(build_net(), loader, epochs=7, lr=2e-3)
    average = WeightAverage(trainer.net)
    keeper = KeepBest(average, val)
    trainer.callbacks += [average, keeper]
    trainer.fit()
    average.net.load_state_dict(keeper.state)
    print(f"test accuracy: {trainer.score(average.net, test):.3f}")


if __name__ == "__main__":
    main()
