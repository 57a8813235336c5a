"""A small CIFAR-10 classifier behind a scikit-learn-like interface."""
import os

import numpy as np
import torch
from torch import nn

FOLDER = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
MEAN = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32).reshape(1, 3, 1, 1)
STD = np.array([0.2470, 0.2435, 0.2616], dtype=np.float32).reshape(1, 3, 1, 1)


def read_bin(name, count):
    raw = np.fromfile(os.path.join(FOLDER, name), dtype=np.uint8, count=3073 * count)
    raw = raw.reshape(count, 3073)
    images = raw[:, 1:].reshape(count, 3, 32, 32).astype(np.float32) / 255.0
    return (images - MEAN) / STD, raw[:, 0].astype(np.int64)


class ConvNet(nn.Module):
    def __init__(self, n_classes=10, widths=(12, 24, 48)):
        super().__init__()
        layers, c_in = [], 3
        for c_out in widths:
            layers += [
                nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(c_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            c_in = c_out
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(c_in, n_classes)

    def forward(self, x, as_proba=False):
        scores = self.head(self.body(x).mean(dim=(2, 3)))
        return scores.softmax(dim=1) if as_proba else scores


class CNNClassifier:
    """fit / predict_proba / predict / score, as in scikit-learn."""

    def __init__(self, epochs=5, batch_size=50, lr=0.05, momentum=0.9, random_state=0):
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.random_state = random_state

    def fit(self, X, y, verbose=True):
        torch.manual_seed(self.random_state)
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        self.classes_ = torch.unique(y)
        self.net_ = ConvNet(len(self.classes_))
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(self.net_.parameters(), lr=self.lr, momentum=self.momentum)
        steps = len(X) // self.batch_size
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * steps)
        for epoch in range(self.epochs):
            self.net_.train()
            order = torch.randperm(len(X))
            total = 0.0
            for k in range(steps):
                rows = order[k * self.batch_size:(k + 1) * self.batch_size]
                optimizer.zero_grad()
                loss = criterion(self.net_(X[rows]), y[rows])
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
            if verbose:
                print(f"epoch {epoch + 1}: loss {total / steps:.3f}")
        return self

    @torch.no_grad()
    def predict_proba(self, X):
        self.net_.eval()
        parts = [self.net_(p, as_proba=True) for p in torch.from_numpy(X).split(250)]
        return torch.cat(parts).numpy()

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)

    def score(self, X, y):
        return float((self.predict(X) == y).mean())


if __name__ == "__main__":
    X_train, y_train = read_bin("data_batch_1.bin", 3000)
    X_test, y_test = read_bin("test_batch.bin", 1000)
    clf = CNNClassifier().fit(X_train, y_train)
    print(f"accuracy: {clf.score(X_test, y_test):.3f}")
