import os

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

CFG = {
    "batch_size": 64,
    "epochs": 6,
    "lr": 0.001,
    "weight_decay": 1e-4,
    "classes": (0, 1, 8),
}


class CifarBin(Dataset):
    def __init__(self, files, classes, limit):
        root = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
        raw = np.concatenate([np.fromfile(os.path.join(root, f), dtype=np.uint8).reshape(-1, 3073) for f in files])
        raw = raw[np.isin(raw[:, 0], classes)][:limit]
        self.labels = np.searchsorted(classes, raw[:, 0])
        self.pixels = raw[:, 1:].reshape(-1, 3, 32, 32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = torch.from_numpy(self.pixels[i].astype(np.float32))
        return (x - 120.0) / 64.0, int(self.labels[i])


class Synthetic(Dataset):
    def __init__(self, n, seed):
        r = np.random.default_rng(seed)
        self.labels = r.integers(0, 3, n)
        self.x = r.normal(size=(n, 3, 32, 32)).astype(np.float32)
        for x, k in zip(self.x, self.labels):
            a, b = r.integers(0, 16, 2)
            x[k, a : a + 16, b : b + 16] += 0.8

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i]), int(self.labels[i])


def get_sets():
    if "TENFOLD_DATA" in os.environ:
        tr = CifarBin(["data_batch_1.bin"], CFG["classes"], 2000)
        return tr, CifarBin(["test_batch.bin"], CFG["classes"], 600)
    return Synthetic(2000, 0), Synthetic(600, 1)


def get_model(n_out):
    m = []
    for i, o in ((3, 16), (16, 32), (32, 32)):
        m += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*m, nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, n_out))


torch.manual_seed(0)
train_set, test_set = get_sets()
train_loader = DataLoader(train_set, CFG["batch_size"], shuffle=True)
test_loader = DataLoader(test_set, 200)
model = get_model(3)
optimizer = torch.optim.Adam(model.parameters(), lr=CFG["lr"], weight_decay=CFG["weight_decay"])
criterion = nn.CrossEntropyLoss()

for epoch in range(CFG["epochs"]):
    model.train()
    avg = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        avg += loss.item() / len(train_loader)
    print("epoch", epoch, "loss", avg)

model.eval()
with torch.no_grad():
    correct = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
print("accuracy: {:.4f}".format(correct / len(test_set)))
