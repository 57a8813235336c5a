import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import ExponentialLR
from torch.utils.data import DataLoader, TensorDataset


class Experiment:
    epochs = 6
    batch_size = 50
    lr = 0.03
    decay = 0.7

    def __init__(self):
        torch.manual_seed(0)
        self.train_loader = DataLoader(self.cifar(1, 3000), self.batch_size, shuffle=True)
        self.val_loader = DataLoader(self.cifar(2, 1000), 200)
        self.model = self.build()
        self.optimizer = torch.optim.SGD(self.model.parameters(), self.lr, momentum=0.9)
        self.scheduler = ExponentialLR(self.optimizer, self.decay)

    @staticmethod
    def cifar(part, n):
        path = Path(os.environ.get("TENFOLD_DATA", ".")) / "cifar10" / "cifar-10-batches-bin" / f"data_batch_{part}.bin"
        if path.exists():
            a = np.frombuffer(path.read_bytes()[: n * 3073], np.uint8).reshape(n, 3073)
            x, y = a[:, 1:].reshape(n, 3, 32, 32) / np.float32(255), a[:, 0].astype(np.int64)
        else:
            rng = np.random.default_rng(part)
            y = rng.integers(0, 10, n)
            x = (y[:, None, None, None] / 10 + 0.3 * rng.standard_normal((n, 3, 32, 32))).astype(np.float32)
        return TensorDataset((torch.from_numpy(x) - 0.47) / 0.25, torch.from_numpy(y))

    @staticmethod
    def build():
        def block(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())

        return nn.Sequential(block(3, 16), block(16, 32), block(32, 64), nn.Flatten(), nn.Linear(1024, 10))

    def train_epoch(self):
        self.model.train()
        for x, y in self.train_loader:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self):
        self.model.eval()
        return sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.val_loader) / 1000

    def run(self):
        for epoch in range(self.epochs):
            print(epoch, f"{self.train_epoch():.3f}", f"lr={self.scheduler.get_last_lr()[0]:.2g}")
        return self.accuracy()


if __name__ == "__main__":
    print(f"accuracy: {Experiment().run():.4f}")
