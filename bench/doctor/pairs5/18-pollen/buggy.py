# Pollen grains under the microscope - trainer with callbacks
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

GRAINS = ("smooth", "spiny", "triporate", "furrowed", "winged")
PX = 28


def draw_grain(kind, rng):
    v, u = np.mgrid[:PX, :PX] - (PX - 1) / 2
    v, u = v - rng.uniform(-2, 2), u - rng.uniform(-2, 2)
    phi = rng.uniform(0, 2 * np.pi)
    u, v = u * np.cos(phi) - v * np.sin(phi), u * np.sin(phi) + v * np.cos(phi)
    r, a = np.hypot(u, v), np.arctan2(v, u)
    size = rng.uniform(6.0, 8.5)
    edge = np.full_like(r, size)
    inner = np.zeros_like(r)
    if kind == 1:
        edge = size + 1.3 * np.sign(np.sin(a * rng.integers(9, 12)))
    elif kind == 2:
        for k in range(3):
            th = 2 * np.pi * k / 3
            inner -= 0.6 * (np.hypot(u - 0.75 * size * np.cos(th), v - 0.75 * size * np.sin(th)) < 1.8)
    elif kind == 3:
        inner -= 0.5 * (np.abs(v) < 1.2) * (np.abs(u) < 0.8 * size)
    elif kind == 4:
        edge = size * (0.62 + 0.55 * np.cos(a) ** 2)
    mask = 1 / (1 + np.exp((r - edge) * 2))
    colour = np.array([0.75, 0.6, 0.3]) + rng.normal(0, 0.08, 3)
    back = np.array([0.85, 0.82, 0.8]) + rng.normal(0, 0.05, 3)
    shade = (1 + inner + 0.12 * (1 - r / size).clip(0))[..., None]
    img = back * (1 - mask[..., None]) + colour * shade * mask[..., None]
    img = img * rng.uniform(0.75, 1.1) + rng.normal(0, 0.035, img.shape)
    return img.clip(0, 1).astype(np.float32).transpose(2, 0, 1)


class PollenSlides(Dataset):
    """Images as float tensors in 0..1; random orientation, light, grain of film and a dust speck if wanted."""

    def __init__(self, images, labels, augment=True):
        self.images, self.labels, self.augment = images, labels, augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, k):
        img = self.images[k]
        if self.augment:
            img = torch.rot90(img, int(torch.randint(4, ())), (1, 2))
            if torch.rand(()) < 0.5:
                img = img.flip(2)
            img = img * (0.75 + 0.5 * torch.rand(3, 1, 1)) + 0.12 * torch.rand(()) * torch.randn_like(img)
            if torch.rand(()) < 0.7:
                top, left = torch.randint(3, PX - 14, (2,)).tolist()
                img[:, top:top + 11, left:left + 11] = torch.rand(3, 1, 1)
        return img, self.labels[k]


class Standardise(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.std


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.SiLU(), nn.MaxPool2d(2))


class Callback:
    def on_epoch_end(self, trainer, epoch, logs): ...
    def on_fit_end(self, trainer): ...


class PrintLogs(Callback):
    def on_epoch_end(self, trainer, epoch, logs):
        print(f"[{epoch + 1:02d}] " + " ".join(f"{k}={v:.3f}" for k, v in logs.items()))


class KeepBest(Callback):
    def __init__(self, key):
        self.key, self.best, self.weights = key, -1.0, None

    def on_epoch_end(self, trainer, epoch, logs):
        if logs[self.key] > self.best:
            self.best, self.weights = logs[self.key], copy.deepcopy(trainer.net.state_dict())

    def on_fit_end(self, trainer):
        trainer.net.load_state_dict(self.weights)


class Trainer:
    def __init__(self, net, epochs, max_lr, callbacks):
        self.net, self.epochs, self.max_lr, self.callbacks = net, epochs, max_lr, callbacks
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.05)

    def fit(self, train, val):
        decay = [p for p in self.net.parameters() if p.ndim > 1]
        rest = [p for p in self.net.parameters() if p.ndim <= 1]
        opt = torch.optim.AdamW([{"params": decay, "weight_decay": 1e-2}, {"params": rest, "weight_decay": 0.0}], lr=self.max_lr)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, self.max_lr, total_steps=self.epochs * len(train))
        for epoch in range(self.epochs):
            self.net.train()
            running = 0.0
            for x, y in train:
                opt.zero_grad(set_to_none=True)
                loss = self.loss(self.net(x), y)
                loss.backward()
                opt.step()
                sched.step()
                running += loss.item() / len(train)
            logs = {"loss": running, "val_acc": self.score(val)}
            for c in self.callbacks:
                c.on_epoch_end(self, epoch, logs)
        for c in self.callbacks:
            c.on_fit_end(self)

    @torch.no_grad()
    def score(self, loader):
        self.net.eval()
        hits = [(self.net(x).argmax(1) == y).float() for x, y in loader]
        return torch.cat(hits).mean().item()


def main(seed=11):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.permutation(np.arange(1800) % len(GRAINS)))
    images = torch.from_numpy(np.stack([draw_grain(int(k), rng) for k in labels]))

    full = PollenSlides(images, labels)
    train_part, val_part, test_part = random_split(full, [1100, 300, 400], torch.Generator().manual_seed(seed))
    for part in (val_part, test_part):
        part.augment = False
    pixels = images[train_part.indices]

    net = nn.Sequential(
        Standardise(pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))),
        block(3, 16), block(16, 32), block(32, 48),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(48 * 3 * 3, len(GRAINS)),
    )
    trainer = Trainer(net, epochs=13, max_lr=5e-3, callbacks=[PrintLogs(), KeepBest("val_acc")])
    trainer.fit(DataLoader(train_part, 50, shuffle=True), DataLoader(val_part, 100))
    print(f"accuracy on the 400 test grains: {trainer.score(DataLoader(test_part, 100)):.4f}")


if __name__ == "__main__":
    main()
