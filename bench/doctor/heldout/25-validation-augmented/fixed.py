import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Subset


def augment(img):
    img = F.pad(img, (4, 4, 4, 4))
    r, c = random.randint(0, 8), random.randint(0, 8)
    img = img[:, r : r + 20, c : c + 20].clone()
    h, w = random.randint(4, 9), random.randint(4, 9)
    r, c = random.randint(0, 20 - h), random.randint(0, 20 - w)
    img[:, r : r + h, c : c + w] = 0
    return img


class FlagDataset(Dataset):
    """Two- and three-banded flags; 6 classes by layout and order of the colours."""

    def __init__(self, n, seed, transform=None):
        rng = np.random.default_rng(seed)
        cols = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float32)
        self.y = rng.integers(0, 6, n)
        self.x = rng.normal(0, 1.0, (n, 3, 20, 20)).astype(np.float32)
        for img, k in zip(self.x, self.y):
            order = cols[[0, 1, 2]] if k % 2 else cols[[1, 0, 2]]
            flag = np.zeros((3, 12, 12), np.float32)
            for b in range(3):
                if k // 2 == 0:
                    flag[:, 4 * b : 4 * b + 4] = order[b][:, None, None]
                elif k // 2 == 1:
                    flag[:, :, 4 * b : 4 * b + 4] = order[b][:, None, None]
                else:
                    flag[:, 2 * b : 12 - 2 * b, 2 * b : 12 - 2 * b] = order[b][:, None, None]
            r, c = rng.integers(0, 9, 2)
            img[:, r : r + 12, c : c + 12] += flag
        self.transform = transform

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = torch.from_numpy(self.x[i])
        if self.transform is not None:
            x = self.transform(x)
        return x, int(self.y[i])


torch.manual_seed(12)
random.seed(12)
n = 2000
perm = torch.randperm(n).tolist()
train_ds = Subset(FlagDataset(n, 5, transform=augment), perm[:1500])
val_ds = Subset(FlagDataset(n, 5), perm[1500:])
train_loader = DataLoader(train_ds, batch_size=50, shuffle=True)
val_loader = DataLoader(val_ds, batch_size=100)

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 25, 6),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(8):
    model.train()
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val_acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in val_loader) / len(val_ds)
    print(f"epoch {epoch} val_acc {val_acc:.4f}")
print(f"accuracy: {val_acc:.4f}")
