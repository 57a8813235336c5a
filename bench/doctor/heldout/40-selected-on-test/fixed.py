import copy
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load_data():
    root = os.environ.get("TENFOLD_DATA")
    if not root:
        g = np.random.default_rng(1)
        y = g.integers(0, 10, 1100)
        x = g.normal(0, 1, (1100, 3, 32, 32))
        for i, k in enumerate(y):
            x[i, k % 3, 3 * k : 3 * k + 4] += 0.35
    else:
        buf = open(os.path.join(root, "cifar10", "cifar-10-batches-bin", "data_batch_2.bin"), "rb").read(1100 * 3073)
        arr = np.frombuffer(buf, dtype=np.uint8).reshape(1100, 3073)
        x, y = (arr[:, 1:].reshape(1100, 3, 32, 32) - 121.0) / 63.0, arr[:, 0].astype(np.int64)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad, self.state = patience, -1.0, 0, None

    def update(self, value, model):
        if value > self.best:
            self.best, self.bad = value, 0
            self.state = copy.deepcopy(model.state_dict())
        else:
            self.bad += 1
        return self.bad >= self.patience


def accuracy(model, loader):
    model.eval()
    hit = n = 0
    with torch.no_grad():
        for x, y in loader:
            hit += (model(x).argmax(1) == y).sum().item()
            n += len(y)
    return hit / n


def train(model, train_loader, check_loader, epochs=30, patience=12):
    stopper = EarlyStopping(patience)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        check = accuracy(model, check_loader)
        print(f"epoch {epoch:02d}  check {check:.4f}")
        if stopper.update(check, model):
            break
    model.load_state_dict(stopper.state)
    return stopper.best


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 48, 3, stride=2, padding=1),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48 * 16, 10),
    )


def main():
    torch.manual_seed(34)
    x, y = load_data()
    train_loader = DataLoader(TensorDataset(x[:800], y[:800]), batch_size=32, shuffle=True)
    valid_loader = DataLoader(TensorDataset(x[800:950], y[800:950]), batch_size=150)
    test_loader = DataLoader(TensorDataset(x[950:], y[950:]), batch_size=150)
    model = cnn()
    best = train(model, train_loader, valid_loader)
    print(f"validation: {best:.4f}")
    print(f"accuracy: {accuracy(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
