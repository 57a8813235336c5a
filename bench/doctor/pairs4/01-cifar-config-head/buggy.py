"""Ten-class baseline on a slice of CIFAR-10, everything driven by one config object."""
import os
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class HeadConfig:
    widths: tuple = (64, 10)
    activation: str = "relu"


@dataclass
class Config:
    seed: int = 3
    train_images: int = 2400
    test_images: int = 1000
    batch_size: int = 50
    epochs: int = 4
    lr: float = 2e-3
    channels: tuple = (16, 32, 64)
    head: HeadConfig = field(default_factory=HeadConfig)


ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)


def read_records(name, count):
    path = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin", name)
    raw = np.fromfile(path, dtype=np.uint8, count=count * 3073).reshape(count, 3073)
    labels = torch.from_numpy(raw[:, 0].astype(np.int64))
    images = torch.from_numpy(raw[:, 1:].reshape(count, 3, 32, 32).copy()).float() / 255
    return TensorDataset((images - MEAN) / STD, labels)


def build_features(channels):
    layers, previous = [], 3
    for width in channels:
        layers += [
            nn.Conv2d(previous, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        previous = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def build_head(in_features, cfg):
    sizes = [in_features, *cfg.widths]
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:]), start=1):
        layers.append(nn.Linear(a, b))
        if i < len(sizes):
            layers.append(ACTIVATIONS[cfg.activation]())
    return nn.Sequential(*layers)


class Classifier(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.features = build_features(cfg.channels)
        self.head = build_head(cfg.channels[-1], cfg.head)

    def forward(self, x):
        return self.head(self.features(x))


def run_epoch(model, loader, criterion, optimizer):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main(cfg):
    torch.manual_seed(cfg.seed)
    train = DataLoader(read_records("data_batch_1.bin", cfg.train_images), cfg.batch_size, shuffle=True)
    test = DataLoader(read_records("test_batch.bin", cfg.test_images), 100)
    model = Classifier(cfg)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        print(f"epoch {epoch + 1}: loss {run_epoch(model, train, criterion, optimizer):.3f}")
    print(f"accuracy: {evaluate(model, test):.3f}")


if __name__ == "__main__":
    main(Config())
