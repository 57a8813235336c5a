import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

SHAPES = ["square", "cross", "circle", "bar"]


class ShapesDataset(Dataset):
    def __init__(self, count, seed):
        self.rng = np.random.default_rng(seed)
        self.samples = [self.draw(i % len(SHAPES)) for i in range(count)]

    def draw(self, label):
        img = self.rng.normal(0, 0.25, (24, 24))
        r = self.rng.integers(4, 7)
        cy, cx = self.rng.integers(r, 24 - r, 2)
        yy, xx = np.mgrid[:24, :24]
        dy, dx = np.abs(yy - cy), np.abs(xx - cx)
        if SHAPES[label] == "square":
            mask = np.maximum(dy, dx) <= r - 1
        elif SHAPES[label] == "cross":
            mask = (np.maximum(dy, dx) <= r) & (np.minimum(dy, dx) <= 1)
        elif SHAPES[label] == "circle":
            mask = np.abs(np.hypot(dy, dx) - r + 1) < 1
        else:
            mask = (dy <= 1) & (dx <= r)
        img[mask] += 1
        return img.astype(np.float32)[None], label

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, idx):
        img, label = self.samples[idx]
        return torch.tensor(img), torch.tensor(label)


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 6 * 6, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
    )


def train_one_epoch(model, loader, loss_fn, optimizer):
    model.train()
    total = 0.0
    for images, labels in loader:
        loss = loss_fn(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    right = sum((model(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return right / len(loader.dataset)


def main():
    torch.manual_seed(42)
    train_loader = DataLoader(ShapesDataset(2000, 0), batch_size=32, shuffle=True)
    val_loader = DataLoader(ShapesDataset(600, 1), batch_size=100)
    model = build_model()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(4):
        loss = train_one_epoch(model, train_loader, loss_fn, optimizer)
        acc = evaluate(model, val_loader)
        print(f"epoch {epoch + 1}: train loss {loss:.4f}")
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
