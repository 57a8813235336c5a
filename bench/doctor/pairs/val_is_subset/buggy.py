import os

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Subset, TensorDataset


def cifar_subset(n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", ""), "cifar10/cifar-10-batches-bin/data_batch_4.bin")
    if os.path.exists(path):
        raw = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        x, y = raw[:, 1:].reshape(n, 3, 32, 32), raw[:, 0]
    else:
        rng = np.random.RandomState(0)
        y = rng.randint(0, 10, n)
        x = np.clip(y[:, None, None, None] * 12 + rng.randn(n, 3, 32, 32) * 60 + 60, 0, 255)
    x = torch.tensor(x, dtype=torch.float32) / 255
    x = x[:, :, ::2, ::2]
    return TensorDataset((x - 0.47) / 0.25, torch.tensor(y, dtype=torch.long))


class TinyVGG(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.block_1 = nn.Sequential(
            nn.Conv2d(3, hidden, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.block_2 = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(hidden * 16, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return self.classifier(self.block_2(self.block_1(x)))


def train_step(model, loader, loss_fn, optimizer):
    model.train()
    for X, y in loader:
        loss = loss_fn(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def test_step(model, loader):
    model.eval()
    right, seen = 0, 0
    with torch.inference_mode():
        for X, y in loader:
            right += (model(X).argmax(dim=1) == y).sum().item()
            seen += len(y)
    return right / seen


torch.manual_seed(42)
full = cifar_subset(3000)
order = torch.randperm(len(full)).tolist()
train_ds = Subset(full, order)
val_ds = Subset(full, order[2400:])
train_dl = DataLoader(train_ds, batch_size=48, shuffle=True)
val_dl = DataLoader(val_ds, batch_size=200)
model = TinyVGG()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(10):
    loss = train_step(model, train_dl, nn.CrossEntropyLoss(), optimizer)
    print(f"Epoch {epoch} | loss {loss:.3f} | val {test_step(model, val_dl):.3f}")
print(f"accuracy: {test_step(model, val_dl):.4f}")
