"""Small strided CNN on part of CIFAR-10 with a polynomial learning-rate schedule."""
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

BATCH = 32
EPOCHS = 4
BASE_LR = 0.05
POWER = 0.9


def read_cifar(count):
    binary = Path(os.environ.get("TENFOLD_DATA", "data")) / "cifar10" / "cifar-10-batches-bin" / "data_batch_1.bin"
    if not binary.exists():
        return fake_cifar(count)
    records = np.frombuffer(binary.read_bytes()[:count * 3073], dtype=np.uint8).reshape(count, 3073)
    labels = records[:, 0].astype("int64")
    pixels = records[:, 1:].reshape(count, 3, 32, 32).astype("float32") / 255
    return pixels, labels


def fake_cifar(count):
    rng = np.random.default_rng(99)
    labels = rng.integers(0, 10, count)
    yy, xx = np.mgrid[:32, :32]
    pixels = rng.normal(0.5, 0.15, (count, 3, 32, 32))
    for i, k in enumerate(labels):
        freq = 0.35 if k < 5 else 0.75
        a = (k % 5) * np.pi / 5
        pixels[i] += 0.18 * np.sin(freq * (xx * np.cos(a) + yy * np.sin(a)) + rng.uniform(0, 6.28))
    return pixels.clip(0, 1).astype("float32"), labels.astype("int64")


class ConvBN(nn.Sequential):
    def __init__(self, cin, cout, stride):
        super().__init__(
            nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
        )


class SmallNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stage1 = ConvBN(3, 24, stride=2)
        self.stage2 = ConvBN(24, 32, stride=2)
        self.stage3 = ConvBN(32, 48, stride=1)
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(48 * 4 * 4, num_classes)

    def forward(self, x):
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


def poly_schedule(optimizer, total_steps):
    return LambdaLR(optimizer, lambda step: max(0.0, 1.0 - step / total_steps) ** POWER)


def train_one_epoch(model, loader, criterion, optimizer, scheduler):
    model.train()
    meter = 0.0
    for images, labels in loader:
        loss = criterion(model(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        meter += loss.item()
    return meter / len(loader)


@torch.no_grad()
def top1(model, loader):
    model.eval()
    correct = 0
    for images, labels in loader:
        correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(2)
    n_train, n_test = 2560, 800
    x, y = read_cifar(n_train + n_test)
    mean = x[:n_train].mean((0, 2, 3)).reshape(1, 3, 1, 1)
    std = x[:n_train].std((0, 2, 3)).reshape(1, 3, 1, 1)
    x, y = torch.from_numpy((x - mean) / std), torch.from_numpy(y)
    train_set = TensorDataset(x[:n_train], y[:n_train])
    test_set = TensorDataset(x[n_train:], y[n_train:])
    train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=200)

    model = SmallNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=BASE_LR, momentum=0.9, weight_decay=1e-4)
    total_steps = EPOCHS * (len(train_set) // BATCH)
    scheduler = poly_schedule(optimizer, total_steps)
    for epoch in range(EPOCHS):
        loss = train_one_epoch(model, train_loader, criterion, optimizer, scheduler)
        print(f"epoch {epoch + 1}/{EPOCHS} loss={loss:.4f}")
    print(f"accuracy: {top1(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
