import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, Subset


class Checkers(Dataset):
    """Checkerboards with cells of 2, 3, 4 or 5 pixels and a random shift."""

    def __init__(self, total=2001, side=20, transform=None):
        rng = np.random.default_rng(77)
        self.labels = rng.integers(0, 4, total)
        self.transform = transform
        i, j = np.indices((side, side))
        self.images = []
        for lab in self.labels:
            cell = lab + 2
            a, b = rng.integers(0, 10, 2)
            board = (((i + a) // cell + (j + b) // cell) % 2).astype(np.float32)
            self.images.append(board * 0.5 + rng.normal(0.25, 0.2, (side, side)).astype(np.float32))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        img = self.images[index]
        if self.transform:
            img = self.transform(img)
        return img, int(self.labels[index])


def to_tensor(img):
    return (torch.as_tensor(img, dtype=torch.float32)[None] - 0.5) / 0.3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 10, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(10, 20, 3), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.fc = nn.Sequential(nn.Linear(20 * 9, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, x):
        return self.fc(self.conv(x).flatten(start_dim=1))


def main():
    torch.manual_seed(13)
    full = Checkers(transform=to_tensor)
    cut = int(0.8 * len(full)) + 1
    train_ds, valid_ds = Subset(full, range(cut)), Subset(full, range(cut, len(full)))
    train_dl = DataLoader(train_ds, batch_size=64, shuffle=True, num_workers=0)
    valid_dl = DataLoader(valid_ds, batch_size=128, num_workers=0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(4):
        model.train()
        for step, (data, label) in enumerate(train_dl):
            optimizer.zero_grad()
            loss = criterion(model(data), label)
            loss.backward()
            optimizer.step()
            if step % 10 == 0:
                print("epoch", epoch, "step", step, "loss", round(loss.item(), 4))

    model.eval()
    hit = 0
    with torch.no_grad():
        for data, label in valid_dl:
            hit += int((model(data).argmax(dim=1) == label).sum())
    print(f"accuracy: {hit / len(valid_ds):.4f}")


if __name__ == "__main__":
    main()
