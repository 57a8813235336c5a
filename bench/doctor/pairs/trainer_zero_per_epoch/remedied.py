import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    epochs: int = 4
    batch_size: int = 64
    lr: float = 1e-2
    momentum: float = 0.9
    seed: int = 7


def cifar(number, n):
    root = os.environ.get("TENFOLD_DATA")
    fname = f"{root}/cifar10/cifar-10-batches-bin/data_batch_{number}.bin"
    if root and os.path.isfile(fname):
        data = np.frombuffer(open(fname, "rb").read(n * 3073), dtype=np.uint8).reshape(-1, 3073)
        labels = data[:, 0].astype(np.int64)
        images = data[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    else:
        rs = np.random.RandomState(number)
        labels = rs.randint(0, 10, n)
        base = np.random.RandomState(99).rand(10, 3, 32, 32).astype(np.float32) * 160
        images = base[labels] + rs.rand(n, 3, 32, 32).astype(np.float32) * 95
    mean = np.array([125.3, 123.0, 113.9], np.float32).reshape(1, 3, 1, 1)
    std = np.array([63.0, 62.1, 66.7], np.float32).reshape(1, 3, 1, 1)
    return TensorDataset(torch.from_numpy((images - mean) / std), torch.from_numpy(labels))


class SmallCNN(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, 2, 1),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(2 * width * 16, 10)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class Trainer:
    def __init__(self, model, train_set, val_set, cfg):
        self.model = model
        self.cfg = cfg
        self.train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True)
        self.val_loader = DataLoader(val_set, 250)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum)
        self.criterion = nn.CrossEntropyLoss()

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.run_epoch(epoch)
        return self.validate()

    def run_epoch(self, epoch):
        self.model.train()
        losses = []
        self.optimizer.zero_grad()
        for x, y in self.train_loader:
            loss = self.criterion(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        print(f"[{epoch}] loss={np.mean(losses):.3f}")

    def validate(self):
        self.model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in self.val_loader:
                correct += (self.model(x).argmax(dim=1) == y).sum().item()
        return correct / len(self.val_loader.dataset)


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    trainer = Trainer(SmallCNN(), cifar(1, 5000), cifar(3, 1000), cfg)
    print(f"accuracy: {trainer.fit():.4f}")
