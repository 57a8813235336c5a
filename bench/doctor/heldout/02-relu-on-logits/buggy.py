import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
rng = np.random.RandomState(7)
NUM_CLASSES = 8
SIZE = 20


def make_stripes(count):
    """Sinusoidal gratings, class = orientation."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE]
    labels = rng.randint(0, NUM_CLASSES, count)
    imgs = np.empty((count, 1, SIZE, SIZE), np.float32)
    for i, k in enumerate(labels):
        a = np.pi * k / NUM_CLASSES
        phase = rng.rand() * 2 * np.pi
        wave = np.sin(0.9 * (xx * np.cos(a) + yy * np.sin(a)) + phase)
        imgs[i, 0] = wave + rng.randn(SIZE, SIZE) * 0.6
    return torch.tensor(imgs), torch.tensor(labels, dtype=torch.long)


def conv(i, o):
    return [nn.Conv2d(i, o, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]


def dense(i, o):
    return [nn.Linear(i, o), nn.ReLU(inplace=True)]


net = nn.Sequential(
    *conv(1, 16),
    *conv(16, 32),
    nn.Flatten(),
    *dense(32 * 5 * 5, 48),
    *dense(48, NUM_CLASSES),
)

train_dl = DataLoader(TensorDataset(*make_stripes(1600)), batch_size=32, shuffle=True)
val_x, val_y = make_stripes(600)
criterion = nn.CrossEntropyLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)

for epoch in range(6):
    net.train()
    seen, total = 0, 0.0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
        seen += len(xb)
    net.eval()
    with torch.no_grad():
        acc = (net(val_x).argmax(1) == val_y).float().mean().item()
    print(f"epoch {epoch} loss {total / seen:.4f} val acc {acc:.4f}")
print(f"accuracy: {acc:.4f}")
