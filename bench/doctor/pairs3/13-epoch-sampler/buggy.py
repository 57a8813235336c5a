"""CIFAR-10 slice with resumable order and augmentation: both depend on (seed, epoch) only."""
import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Sampler


@dataclass
class Run:
    root: str = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
    n_train: int = 1600
    n_test: int = 500
    batch: int = 50
    epochs: int = 6
    lr: float = 0.05
    pad: int = 3
    seed: int = 41


def load(path, n):
    rec = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
    return rec[:, 1:].reshape(n, 3, 32, 32), rec[:, 0].astype(np.int64)


class Images(Dataset):
    def __init__(self, x, y, mean, std):
        self.x = ((x / np.float32(255) - mean) / std).astype(np.float32)
        self.y = y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i]), self.y[i]


class AugmentedImages(Images):
    """Crop and mirror, drawn from a counter-based generator: no state to save for a resume."""

    def __init__(self, x, y, mean, std, pad, seed):
        super().__init__(x, y, mean, std)
        self.pad, self.seed, self.epoch = pad, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, i):
        rng = np.random.default_rng((self.seed, self.epoch, i))
        img = np.pad(self.x[i], ((0, 0), (self.pad,) * 2, (self.pad,) * 2))
        top, left = rng.integers(0, 2 * self.pad + 1, 2)
        img = img[:, top:top + 32, left:left + 32]
        if rng.random() < 0.5:
            img = img[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(img)), self.y[i]


class EpochSampler(Sampler):
    def __init__(self, n, seed):
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.n

    def __iter__(self):
        gen = torch.Generator().manual_seed(self.seed * 1000 + self.epoch)
        yield from torch.randperm(self.n, generator=gen).tolist()


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.na = nn.BatchNorm2d(cout)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.nb = nn.BatchNorm2d(cout)
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.na(self.a(x)))
        return F.relu(self.nb(self.b(y)) + self.skip(x))


def build():
    return nn.Sequential(Residual(3, 16, 2), Residual(16, 32, 2), Residual(32, 64, 2),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def train_epoch(model, loader, opt, epoch):
    loader.sampler.set_epoch(epoch)
    model.train()
    meter = []
    for x, y in loader:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        meter.append(loss.item())
    return sum(meter) / len(meter)


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in loader)
    return {"top1": hits / len(loader.dataset)}


def main():
    run = Run()
    torch.manual_seed(run.seed)
    x, y = load(os.path.join(run.root, "data_batch_3.bin"), run.n_train)
    xt, yt = load(os.path.join(run.root, "test_batch.bin"), run.n_test)
    mean = (x.mean((0, 2, 3)) / 255).astype(np.float32)[:, None, None]
    std = (x.std((0, 2, 3)) / 255).astype(np.float32)[:, None, None]
    train_set = AugmentedImages(x, y, mean, std, run.pad, run.seed)
    loader = DataLoader(train_set, run.batch, sampler=EpochSampler(len(train_set), run.seed), drop_last=True)
    test_loader = DataLoader(Images(xt, yt, mean, std), 250)
    model = build()
    opt = torch.optim.SGD(model.parameters(), lr=run.lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, run.epochs)
    for epoch in range(run.epochs):
        loss = train_epoch(model, loader, opt, epoch)
        sched.step()
        print(f"epoch {epoch} loss {loss:.3f}")
    print(f"accuracy: {evaluate(model, test_loader)['top1']:.3f}")


if __name__ == "__main__":
    main()
