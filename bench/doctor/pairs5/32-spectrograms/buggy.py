"""Bird-like calls in spectrograms, trained through a small fit/evaluate wrapper."""
import math

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler, TensorDataset

CALLS = ["rise", "fall", "trill", "two-tone", "hump", "click", "hiss"]
BANDS, FRAMES = 28, 32


def spectrogram(call, rng):
    """Log-power picture: the call somewhere in time and pitch, over wind and other noises."""
    f, t = np.mgrid[:BANDS, :FRAMES].astype(np.float64)
    start, dur = rng.uniform(3, 11), rng.uniform(12, 18)
    u = (t - start) / dur
    low, span = rng.uniform(4, 11), rng.uniform(6, 12)
    during = (u > 0) & (u < 1)
    if call == "rise":
        line = np.exp(-((f - low - span * u) / 1.2) ** 2) * during
    elif call == "fall":
        line = np.exp(-((f - low - span * (1 - u)) / 1.2) ** 2) * during
    elif call == "trill":
        line = np.exp(-((f - low - span / 2 - 3.0 * np.sin(u * rng.uniform(22, 30))) / 1.2) ** 2) * during
    elif call == "two-tone":
        line = np.exp(-((f - low - span * (u > 0.5)) / 1.2) ** 2) * during
    elif call == "hump":
        line = np.exp(-((f - low - span * 4 * u * (1 - u)) / 1.2) ** 2) * during
    elif call == "click":
        line = sum(np.exp(-((t - start - k * dur / 4) / 0.8) ** 2) for k in range(4)) * (np.abs(f - low - span / 2) < span / 2)
    else:
        line = 0.55 * during * (np.abs(f - low - span / 2) < span / 2)
    wind = rng.uniform(0.2, 0.8) * np.exp(-f / rng.uniform(2, 6))
    hum = rng.uniform(0, 0.6) * np.exp(-((f - rng.uniform(0, BANDS)) / 0.8) ** 2)
    power = rng.uniform(0.35, 0.9) * line + wind + hum + 0.18 * rng.gamma(1.5, 1.0, f.shape)
    return np.log(power + 0.05).astype(np.float32)


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(CALLS))
    x = np.stack([spectrogram(CALLS[k], rng) for k in y])
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


class RepeatedSampler(Sampler):
    """Every recording `times` times per epoch, in one shuffled order (repeated augmentation)."""

    def __init__(self, size, times):
        self.size, self.times = size, times

    def __len__(self):
        return self.size * self.times

    def __iter__(self):
        return iter((torch.randperm(len(self)) % self.size).tolist())


def spec_augment(x):
    """Shift in time, and blank one band and one stretch of time of each spectrogram."""
    x = torch.roll(x, int(torch.randint(-3, 4, ())), dims=-1)
    band = torch.arange(BANDS).view(1, 1, -1, 1)
    time = torch.arange(FRAMES).view(1, 1, 1, -1)
    f0 = torch.randint(0, BANDS, (len(x), 1, 1, 1))
    t0 = torch.randint(0, FRAMES, (len(x), 1, 1, 1))
    hidden = ((band >= f0) & (band < f0 + 3)) | ((time >= t0) & (time < t0 + 3))
    return x.masked_fill(hidden, 0.0)


class Model:
    """compile / fit / evaluate around a torch module."""

    def __init__(self, net):
        self.net = net

    def compile(self, optimizer, loss, schedule=None):
        self.optimizer, self.loss, self.schedule = optimizer, loss, schedule

    def fit(self, loader, validation_data, epochs, augment):
        for epoch in range(1, epochs + 1):
            self.net.train()
            total = count = 0
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = self.loss(self.net(augment(x)), y)
                loss.backward()
                self.optimizer.step()
                if self.schedule is not None:
                    self.schedule.step()
                total, count = total + loss.item() * len(y), count + len(y)
            print(f"Epoch {epoch}/{epochs} - loss: {total / count:.4f} - val_accuracy: {self.evaluate(validation_data):.4f}")

    def evaluate(self, loader):
        self.net.eval()
        hits = count = 0
        with torch.no_grad():
            for x, y in loader:
                hits += (self.net(x).argmax(-1) == y).sum().item()
                count += len(y)
        return hits / count


def warmup_then_cosine(warmup, total):
    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / (total - warmup))))
    return factor


def build_net():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 7 * 8, 64), nn.ReLU(), nn.Linear(64, len(CALLS)))


def main(epochs=7, batch_size=35, repeats=4):
    torch.set_num_threads(1)
    torch.manual_seed(5)
    (x, y), (x_val, y_val), (x_test, y_test) = make_set(560, 1), make_set(280, 2), make_set(560, 3)
    mean, std = x.mean(), x.std()
    train, val, test = (TensorDataset((a - mean) / std, b) for a, b in ((x, y), (x_val, y_val), (x_test, y_test)))

    train_loader = DataLoader(train, batch_size=batch_size, sampler=RepeatedSampler(len(train), repeats))
    val_loader, test_loader = DataLoader(val, batch_size=140), DataLoader(test, batch_size=140)

    net = build_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.04, momentum=0.9, nesterov=True)
    steps_per_epoch = math.ceil(len(train) / batch_size)
    schedule = LambdaLR(optimizer, warmup_then_cosine(warmup=12, total=epochs * steps_per_epoch))

    model = Model(net)
    model.compile(optimizer, nn.CrossEntropyLoss(), schedule)
    model.fit(train_loader, val_loader, epochs, spec_augment)
    print(f"test_accuracy: {model.evaluate(test_loader):.4f}")


if __name__ == "__main__":
    main()
