import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Cifar10Bin(Dataset):
    def __init__(self, root, parts, limit, transform):
        self.transform = transform
        arrays = []
        for p in parts:
            f = os.path.join(root, "cifar-10-batches-bin", f"data_batch_{p}.bin")
            if os.path.exists(f):
                arrays.append(np.fromfile(f, np.uint8).reshape(-1, 3073)[:limit])
            else:
                rng = np.random.default_rng(p)
                lab = rng.integers(0, 10, (limit, 1))
                img = np.clip(25 * lab + rng.normal(0, 50, (limit, 3072)), 0, 255)
                arrays.append(np.hstack([lab, img]).astype(np.uint8))
        table = np.vstack(arrays)
        self.labels = table[:, 0].astype(int).tolist()
        self.images = table[:, 1:].reshape(-1, 3, 32, 32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(torch.from_numpy(self.images[i]).float() / 255), self.labels[i]


mean = torch.tensor([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)
std = torch.tensor([0.2470, 0.2435, 0.2616]).reshape(3, 1, 1)


def train_transform(img):
    if torch.rand(1) < 0.5:
        img = img.flip(-1)
    return (img - mean) / std


def val_transform(img):
    return img


root = os.path.join(os.environ.get("TENFOLD_DATA", ""), "cifar10")
torch.manual_seed(0)
train_ds = Cifar10Bin(root, [1, 2], 2000, train_transform)
val_ds = Cifar10Bin(root, [4], 1000, val_transform)
train_dl = DataLoader(train_ds, batch_size=64, shuffle=True, num_workers=0)
val_dl = DataLoader(val_ds, batch_size=250)

model = nn.Sequential(
    nn.Conv2d(3, 24, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(24, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(32, 32, 3, stride=2, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(512, 10),
)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    model.train()
    for x, y in train_dl:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        acc = np.mean([(model(x).argmax(1) == y).float().mean().item() for x, y in val_dl])
    print(f"epoch {epoch} train loss {loss.item():.3f} val acc {acc:.3f}")
print(f"accuracy: {acc:.4f}")
