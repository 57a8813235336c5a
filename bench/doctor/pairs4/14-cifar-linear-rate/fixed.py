"""Small ResNet on a slice of CIFAR-10, with linearly scaled rate and a cosine schedule."""
import math
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

cfg = {
    "train_images": 2304,
    "test_images": 1000,
    "batch": 64,
    "epochs": 7,
    "lr": 0.2,
    "lr_batch": 256,  # the batch for which "lr" is quoted
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "warmup": 10,
    "seed": 0,
}


def read_records(name, count):
    root = Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"
    raw = np.fromfile(root / name, dtype=np.uint8, count=count * 3073).reshape(-1, 3073)
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return images, torch.from_numpy(raw[:, 0].astype(np.int64))


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.skip = nn.Identity()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.skip(x))


def build():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 24, 2), Residual(24, 48, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10),
    )


def random_flip(x):
    flips = torch.rand(len(x)) < 0.5
    return torch.where(flips[:, None, None, None], x.flip(-1), x)


def cosine_with_warmup(optimizer, warmup, total):
    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / (total - warmup))
        return 0.5 * (1 + math.cos(math.pi * progress))
    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


torch.manual_seed(cfg["seed"])
x_train, y_train = read_records("data_batch_1.bin", cfg["train_images"])
x_test, y_test = read_records("test_batch.bin", cfg["test_images"])
mean = x_train.mean((0, 2, 3), keepdim=True)
std = x_train.std((0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

loader = DataLoader(TensorDataset(x_train, y_train), cfg["batch"], shuffle=True, drop_last=True)
model = build()
rate = cfg["lr"] * cfg["batch"] / cfg["lr_batch"]
optimizer = torch.optim.SGD(model.parameters(), rate, cfg["momentum"], weight_decay=cfg["weight_decay"])
total_steps = cfg["epochs"] * cfg["train_images"] // cfg["batch"]
scheduler = cosine_with_warmup(optimizer, cfg["warmup"], total_steps)

for epoch in range(cfg["epochs"]):
    model.train()
    seen = 0.0
    for x, y in loader:
        loss = F.cross_entropy(model(random_flip(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        seen += loss.item()
    print(f"epoch {epoch:2d} | loss {seen / len(loader):.3f}")

model.eval()
with torch.no_grad():
    correct = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(x_test.split(250), y_test.split(250)))
print(f"accuracy: {correct / len(y_test):.3f}")
