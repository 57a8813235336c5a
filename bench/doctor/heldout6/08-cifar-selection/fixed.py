import copy
import os
import pathlib
import random

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

BATCH_SIZE = 50
EPOCHS = 5
CLASSES = 10


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def read_bin(path, start, stop):
    rows = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)[start:stop]
    return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64)


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    yy, xx = np.mgrid[0:32, 0:32]
    images = rng.normal(110, 25, (n, 3, 32, 32))
    for i, k in enumerate(labels):
        for j in range(int(k) // 2 + 1):
            cy, cx = rng.uniform(5, 27, 2)
            images[i, k % 2] += 110 * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 8)
    return images.clip(0, 255).astype(np.uint8), labels


def get_splits():
    root = os.environ.get("TENFOLD_DATA")
    if root is None:
        return {"train": blobs(1600, 0), "val": blobs(400, 1), "test": blobs(500, 2)}
    base = pathlib.Path(root) / "cifar10" / "cifar-10-batches-bin"
    return {
        "train": read_bin(base / "data_batch_1.bin", 0, 1600),
        "val": read_bin(base / "data_batch_1.bin", 1600, 2000),
        "test": read_bin(base / "test_batch.bin", 0, 500),
    }


class Pictures(Dataset):
    def __init__(self, arrays, mean, std, flip=False):
        images, labels = arrays
        self.x = (torch.from_numpy(images).float() / 255 - mean) / std
        self.y = torch.from_numpy(labels)
        self.flip = flip

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.flip and torch.rand(1).item() < 0.5:
            x = x.flip(-1)
        return x, self.y[i]


class ConvNet(nn.Module):
    def __init__(self, dropout=0.3):
        super().__init__()
        self.features = nn.Sequential(
            self.stage(3, 12), self.stage(12, 24), self.stage(24, 48),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(48 * 4 * 4, CLASSES))

    @staticmethod
    def stage(c_in, c_out):
        return nn.Sequential(
            nn.Conv2d(c_in, c_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def train_epoch(model, loader, criterion, optimizer, device):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, loader, criterion, device):
    model.eval()
    loss, hits, count = 0.0, 0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        out = model(x)
        loss += criterion(out, y).item() * len(y)
        hits += (out.argmax(1) == y).sum().item()
        count += len(y)
    return loss / count, hits / count


def main():
    seed_everything(2024)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    splits = get_splits()
    pixels = torch.from_numpy(splits["train"][0]).float() / 255
    mean = pixels.mean((0, 2, 3)).view(3, 1, 1)
    std = pixels.std((0, 2, 3)).view(3, 1, 1)
    train_loader = DataLoader(Pictures(splits["train"], mean, std, flip=True), BATCH_SIZE, shuffle=True)
    val_loader = DataLoader(Pictures(splits["val"], mean, std), 100)
    test_loader = DataLoader(Pictures(splits["test"], mean, std), 100)

    model = ConvNet().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=0)

    best_acc, best_state = 0.0, None
    for epoch in range(EPOCHS):
        train_epoch(model, train_loader, criterion, optimizer, device)
        val_loss, val_acc = evaluate(model, val_loader, criterion, device)
        scheduler.step(val_loss)
        print(f"[{epoch + 1}/{EPOCHS}] val loss {val_loss:.3f} val acc {val_acc:.3f}")
        if val_acc > best_acc:
            best_acc, best_state = val_acc, copy.deepcopy(model.state_dict())

    model.load_state_dict(best_state)
    _, test_acc = evaluate(model, test_loader, criterion, device)
    print(f"accuracy: {test_acc:.3f}")


if __name__ == "__main__":
    main()
