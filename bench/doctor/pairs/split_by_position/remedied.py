import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.RandomState(0)
torch.manual_seed(0)

# 5 materials, 400 photographs each, in the order of the folders
images, labels = [], []
for material in range(5):
    grain = rng.rand(1, 1, 4, 4) if material % 2 else rng.rand(1, 1, 2, 8)
    tile = np.tile(grain, (400, 1, 5, 5) if material % 2 else (400, 1, 10, 2))[:, :, :16, :16]
    images.append(tile * 1.5 + rng.randn(*tile.shape) * 0.8)
    labels.append(np.full(400, material))
images = torch.tensor(np.concatenate(images), dtype=torch.float32)
images = (images - images.mean()) / images.std()
labels = torch.tensor(np.concatenate(labels))
order = torch.randperm(len(images))
images, labels = images[order], labels[order]

n_train = int(0.8 * len(images))
train_ds = TensorDataset(images[:n_train], labels[:n_train])
valid_ds = TensorDataset(images[n_train:], labels[n_train:])
train_dl = DataLoader(train_ds, batch_size=32, shuffle=True)
valid_dl = DataLoader(valid_ds, batch_size=64)


class Lambda(nn.Module):
    def __init__(self, func):
        super().__init__()
        self.func = func

    def forward(self, x):
        return self.func(x)


model = nn.Sequential(
    nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 16, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(2),
    Lambda(lambda x: x.view(x.size(0), -1)),
    nn.Linear(64, 5),
)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
loss_func = nn.functional.cross_entropy

for epoch in range(6):
    model.train()
    for xb, yb in train_dl:
        loss = loss_func(model(xb), yb)
        loss.backward()
        opt.step()
        opt.zero_grad()
    model.eval()
    with torch.no_grad():
        valid_loss = sum(loss_func(model(xb), yb) for xb, yb in valid_dl)
    print(epoch, (valid_loss / len(valid_dl)).item())

with torch.no_grad():
    hits = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in valid_dl)
print(f"accuracy: {hits / len(valid_ds):.4f}")
