"""CIFAR-10 (small slice) with a RAM cache, so that decoding costs nothing after the first epoch."""
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

ROOT = Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"
MEAN = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32)[:, None, None]
STD = np.array([0.2470, 0.2435, 0.2616], dtype=np.float32)[:, None, None]
RECORD = 3073

config = {
    "n_train": 1200,
    "n_test": 1000,
    "batch_size": 50,
    "epochs": 11,
    "lr": 0.05,
    "pad": 4,
    "cutout": 8,
}


class CachedCifar(Dataset):
    def __init__(self, filename, count, augment=False):
        self.path = ROOT / filename
        self.count = count
        self.augment = augment
        self.memory = {}

    def __len__(self):
        return self.count

    def _decode(self, i):
        with open(self.path, "rb") as fh:
            fh.seek(i * RECORD)
            raw = np.frombuffer(fh.read(RECORD), dtype=np.uint8)
        image = raw[1:].reshape(3, 32, 32).astype(np.float32) / 255.0
        return (image - MEAN) / STD, int(raw[0])

    def _distort(self, image):
        p, c = config["pad"], config["cutout"]
        top, left = torch.randint(0, 2 * p + 1, (2,)).tolist()
        image = np.pad(image, ((0, 0), (p, p), (p, p)))[:, top:top + 32, left:left + 32]
        if torch.rand(()).item() < 0.5:
            image = image[:, :, ::-1]
        image = image.copy()
        y, x = torch.randint(0, 32 - c + 1, (2,)).tolist()
        image[:, y:y + c, x:x + c] = 0
        return image

    def _fetch(self, i):
        image, label = self._decode(i)
        if self.augment:
            image = self._distort(image)
        return image, label

    def __getitem__(self, i):
        if i not in self.memory:
            self.memory[i] = self._fetch(i)
        image, label = self.memory[i]
        return torch.from_numpy(image), label


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity() if cin == cout and stride == 1 else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


def make_net():
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        Residual(12, 24, 2), Residual(24, 48, 2), Residual(48, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def train(net, loader):
    steps = config["epochs"] * len(loader)
    opt = torch.optim.SGD(net.parameters(), lr=config["lr"], momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=config["lr"], total_steps=steps)
    for epoch in range(config["epochs"]):
        net.train()
        mean = 0.0
        for images, labels in loader:
            loss = F.cross_entropy(net(images), labels)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            mean += loss.item() / len(loader)
        print(f"epoch {epoch:2d} loss {mean:.3f}")


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    hits = [(net(images).argmax(1) == labels).float() for images, labels in loader]
    return torch.cat(hits).mean().item()


def main():
    torch.manual_seed(0)
    train_set = CachedCifar("data_batch_1.bin", config["n_train"], augment=True)
    test_set = CachedCifar("test_batch.bin", config["n_test"])
    net = make_net()
    train(net, DataLoader(train_set, batch_size=config["batch_size"], shuffle=True))
    print(f"accuracy: {accuracy(net, DataLoader(test_set, batch_size=100)):.3f}")


if __name__ == "__main__":
    main()
