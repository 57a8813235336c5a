"""CIFAR-10 subset with a residual body and a head that learn at different rates."""
import os
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

ROOT = pathlib.Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"


def load(filename, n):
    rec = np.fromfile(ROOT / filename, dtype=np.uint8)[: n * 3073].reshape(n, 3073)
    pix = torch.from_numpy(rec[:, 1:].copy()).view(n, 3, 32, 32).float() / 255
    return pix, torch.from_numpy(rec[:, 0].astype("int64"))


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(x + self.bn(self.conv(x)))


def down(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False),
                         nn.BatchNorm2d(c_out), nn.ReLU())


class TinyResNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.body = nn.Sequential(down(3, 16), Residual(16), down(16, 32), Residual(32),
                                  nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(32 * 4, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Trainer:
    def __init__(self, model, lr_body=0.05, lr_head=0.1, momentum=0.9):
        self.model = model
        self.optims = {
            "body": optim.SGD(model.body.parameters(), lr=lr_body, momentum=momentum),
            "head": optim.SGD(model.head.parameters(), lr=lr_head, momentum=momentum),
        }

    def step(self, x, y):
        self.model.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        for opt in self.optims.values():
            opt.step()
        return loss.item()

    def epoch(self, loader):
        self.model.train()
        return sum(self.step(x, y) for x, y in loader) / len(loader)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        good = sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader)
        return good / len(loader.dataset)


def main():
    torch.manual_seed(42)
    x_tr, y_tr = load("data_batch_2.bin", 3000)
    x_te, y_te = load("test_batch.bin", 1000)
    mean, std = x_tr.mean((0, 2, 3), keepdim=True), x_tr.std((0, 2, 3), keepdim=True)
    train_loader = DataLoader(TensorDataset((x_tr - mean) / std, y_tr), batch_size=60, shuffle=True)
    test_loader = DataLoader(TensorDataset((x_te - mean) / std, y_te), batch_size=250)

    trainer = Trainer(TinyResNet())
    for e in range(5):
        print(f"epoch {e + 1}  loss {trainer.epoch(train_loader):.4f}")
    print(f"accuracy: {trainer.evaluate(test_loader):.3f}")


if __name__ == "__main__":
    main()
