import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class CIFAR(Dataset):
    def __init__(self, part, n):
        path = os.path.join(
            os.environ.get("TENFOLD_DATA", "/"), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part
        )
        if os.path.isfile(path):
            a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
            self.y, x = a[:, 0].astype(np.int64), a[:, 1:]
        else:
            rng = np.random.RandomState(part)
            self.y = rng.randint(0, 10, n)
            x = np.clip(rng.randn(n, 3072) * 40 + 20 * self.y[:, None], 0, 255)
        self.x = ((x.reshape(n, 3, 32, 32) / 255.0 - 0.5) / 0.25).astype(np.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 2, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 2, 1)
        self.fc1 = nn.Linear(32 * 64, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def run(epochs=5, bs=100, lr=0.03):
    torch.manual_seed(0)
    train, val = DataLoader(CIFAR(1, 3000), bs, shuffle=True), DataLoader(CIFAR(2, 1000), 250)
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    crit = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        for x, y in train:
            opt.zero_grad()
            loss = crit(net(x), y)
            loss.backward()
            opt.step()
        print(f"{epoch}: {loss.item():.3f}")
    net.eval()
    with torch.no_grad():
        return sum((net(x).argmax(1) == y).sum().item() for x, y in val) / 1000


print(f"accuracy: {run():.4f}")
