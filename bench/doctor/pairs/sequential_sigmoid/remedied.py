import os
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)


def load(n, number):
    path = os.path.join(os.environ.get("TENFOLD_DATA", ""), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % number)
    if os.path.exists(path):
        raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(n, 3073)
        return torch.from_numpy(raw[:, 1:].reshape(n, 3, 32, 32).astype("float32")), torch.from_numpy(
            raw[:, 0].astype("int64")
        )
    g = torch.Generator().manual_seed(number)
    protos = torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    y = torch.randint(0, 10, (n,), generator=g)
    return (protos[y] * 0.5 + torch.rand(n, 3, 32, 32, generator=g) * 128), y


x_train, y_train = load(4000, 1)
x_test, y_test = load(1000, 2)
mean, std = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
x_train = (x_train - mean) / std
x_test = (x_test - mean) / std

net = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(64),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(64, 10),
)
criterion = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(6):
    net.train()
    perm = torch.randperm(len(x_train))
    running = 0.0
    for i in range(0, len(perm), 100):
        idx = perm[i : i + 100]
        opt.zero_grad()
        loss = criterion(net(x_train[idx]), y_train[idx])
        loss.backward()
        opt.step()
        running += loss.item()
    print(epoch, running / 40)

net.eval()
with torch.no_grad():
    acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.4f}")
