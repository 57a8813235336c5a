import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class CifarClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.fc = nn.Linear(64 * 16, 10)

    def forward(self, x):
        return self.fc(self.cnn(x).flatten(1))


def load(part, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part)
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        x, y = a[:, 1:].reshape(n, 3, 32, 32), a[:, 0].astype(np.int64)
    else:
        rng = np.random.RandomState(part)
        y = rng.randint(0, 10, n)
        x = np.clip(rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None], 0, 255)
    return TensorDataset(torch.from_numpy((x / 255.0 - 0.47).astype(np.float32)), torch.from_numpy(y))


def count_parameters(model):
    model.eval()
    with torch.no_grad():
        out = model(torch.zeros(2, 3, 32, 32))
    return sum(p.numel() for p in model.parameters()), tuple(out.shape)


torch.manual_seed(0)
model = CifarClassifier()
print(count_parameters(model))
train_loader = DataLoader(load(1, 3000), batch_size=50, shuffle=True)
val_loader = DataLoader(load(3, 1000), batch_size=200)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(5):
    model.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, loss.item())

model.eval()
correct = 0
with torch.no_grad():
    for images, labels in val_loader:
        correct += (model(images).argmax(1) == labels).sum().item()
print(f"accuracy: {correct / 1000:.4f}")
