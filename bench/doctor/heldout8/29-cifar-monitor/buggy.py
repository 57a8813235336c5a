"""CIFAR-10 (a slice of it) with early stopping on a monitored split."""
import copy
import dataclasses
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


@dataclasses.dataclass
class Settings:
    n_train: int = 1500
    n_val: int = 300
    n_test: int = 300
    batch_size: int = 50
    max_epochs: int = 7
    lr: float = 2e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    patience: int = 3
    monitor: str = "test"
    seed: int = 1


def read_bin(path, start, count):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)[start:start + count]
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].astype(np.int64)


def synthetic(count, seed):
    """Stand-in pictures for machines without the data: a coloured blob whose hue and place give the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    yy, xx = np.mgrid[0:32, 0:32]
    images = rng.integers(60, 160, (count, 3, 32, 32))
    for i, k in enumerate(labels):
        cx, cy = 8 + 4 * (k % 5) + rng.normal(0, 1.5), 10 + 12 * (k // 5) + rng.normal(0, 1.5)
        mask = (xx - cx) ** 2 + (yy - cy) ** 2 < rng.uniform(16, 36)
        images[i][k % 3][mask] = rng.integers(190, 256)
    return images.astype(np.uint8), labels.astype(np.int64)


class Pictures(Dataset):
    mean = np.array([0.4914, 0.4822, 0.4465], np.float32).reshape(3, 1, 1)
    std = np.array([0.2470, 0.2435, 0.2616], np.float32).reshape(3, 1, 1)

    def __init__(self, images, labels, augment=False):
        self.images, self.labels, self.augment = images, labels, augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = (self.images[i].astype(np.float32) / 255 - self.mean) / self.std
        x = torch.from_numpy(x)
        if self.augment and torch.rand(()) < 0.5:
            x = x.flip(-1)
        return x, int(self.labels[i])


def make_loaders(s):
    root = os.environ.get("TENFOLD_DATA")
    folder = Path(root) / "cifar10" / "cifar-10-batches-bin" if root else None
    if folder and folder.exists():
        train = read_bin(folder / "data_batch_1.bin", 0, s.n_train)
        val = read_bin(folder / "data_batch_5.bin", 0, s.n_val)
        test = read_bin(folder / "test_batch.bin", 0, s.n_test)
    else:
        train, val, test = synthetic(s.n_train, 1), synthetic(s.n_val, 2), synthetic(s.n_test, 3)
    return {
        "train": DataLoader(Pictures(*train, augment=True), s.batch_size, shuffle=True, drop_last=True),
        "val": DataLoader(Pictures(*val), 150),
        "test": DataLoader(Pictures(*test), 150),
    }


def conv(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.SiLU())


def make_net():
    return nn.Sequential(
        conv(3, 12), conv(12, 24, 2), conv(24, 48, 2),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(48 * 4, 10),
    )


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad, self.state = patience, -1.0, 0, None

    def update(self, score, model):
        if score > self.best:
            self.best, self.bad = score, 0
            self.state = copy.deepcopy(model.state_dict())
        else:
            self.bad += 1
        return self.bad >= self.patience


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    hits = sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def fit(model, loaders, s, device):
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": s.weight_decay}, {"params": rest, "weight_decay": 0.0}], lr=s.lr)
    criterion = nn.CrossEntropyLoss(label_smoothing=s.label_smoothing)
    stopper = EarlyStopping(s.patience)
    for epoch in range(s.max_epochs):
        model.train()
        for x, y in loaders["train"]:
            optimizer.zero_grad()
            loss = criterion(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
        score = evaluate(model, loaders[s.monitor], device)
        print(f"epoch {epoch:2d}  last loss {loss.item():.3f}  {s.monitor} {score:.3f}")
        if stopper.update(score, model):
            break
    model.load_state_dict(stopper.state)


def main():
    s = Settings()
    torch.manual_seed(s.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaders = make_loaders(s)
    model = make_net().to(device)
    fit(model, loaders, s, device)
    print(f"accuracy: {evaluate(model, loaders['test'], device):.3f}")


if __name__ == "__main__":
    main()
