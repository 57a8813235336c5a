import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

SETTINGS = {
    "seed": 21,
    "train": {"file": "data_batch_2.bin", "count": 2400, "augment": True},
    "test": {"file": "test_batch.bin", "count": 800, "augment": False},
    "batch": 48,
    "epochs": 4,
    "lr": 3e-3,
    "mean": (0.491, 0.482, 0.447),
    "std": (0.247, 0.243, 0.262),
}


class CifarSlice(Dataset):
    """First `count` records of one binary CIFAR-10 file, flipped and shifted when `augment` is on."""

    def __init__(self, file, count, augment):
        root = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
        records = np.fromfile(os.path.join(root, file), np.uint8, count * 3073).reshape(-1, 3073)
        self.labels = records[:, 0].astype(int)
        self.pixels = records[:, 1:].reshape(-1, 3, 32, 32)
        self.augment = augment
        self.mean = np.array(SETTINGS["mean"], np.float32).reshape(3, 1, 1)
        self.std = np.array(SETTINGS["std"], np.float32).reshape(3, 1, 1)

    def __len__(self):
        return len(self.labels)

    def _jitter(self, img):
        if random.random() < 0.5:
            img = img[:, :, ::-1]
        padded = np.pad(img, ((0, 0), (2, 2), (2, 2)), mode="reflect")
        top, left = random.randint(0, 4), random.randint(0, 4)
        return padded[:, top:top + 32, left:left + 32]

    def __getitem__(self, index):
        img = self.pixels[index].astype(np.float32) / 255
        label = int(self.labels[index])
        if not self.augment:
            return torch.from_numpy(img), label
        img = (self._jitter(img) - self.mean) / self.std
        return torch.from_numpy(img), label


def make_net(width=16, classes=10):
    def stage(cin, cout):
        return [
            nn.Conv2d(cin, cout, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
        ]

    return nn.Sequential(
        *stage(3, 2 * width),
        *stage(2 * width, 4 * width),
        *stage(4 * width, 4 * width),
        nn.Flatten(),
        nn.Linear(4 * width * 16, classes),
    )


def fit(net, loader, epochs, lr):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=epochs * len(loader))
    for epoch in range(epochs):
        net.train()
        losses = []
        for images, labels in loader:
            loss = criterion(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        print("epoch %d  loss %.3f" % (epoch + 1, sum(losses) / len(losses)))


def accuracy(net, loader):
    net.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += int((net(images).argmax(dim=1) == labels).sum())
    return correct / len(loader.dataset)


random.seed(SETTINGS["seed"])
torch.manual_seed(SETTINGS["seed"])
train_loader = DataLoader(CifarSlice(**SETTINGS["train"]), batch_size=SETTINGS["batch"], shuffle=True)
test_loader = DataLoader(CifarSlice(**SETTINGS["test"]), batch_size=100)
network = make_net()
fit(network, train_loader, SETTINGS["epochs"], SETTINGS["lr"])
print(f"accuracy: {accuracy(network, test_loader):.3f}")
