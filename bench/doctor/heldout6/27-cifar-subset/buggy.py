"""Four CIFAR-10 classes with a small VGG-like net."""
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

KEEP = {0: 0, 1: 1, 6: 2, 7: 3}  # airplane, automobile, frog, horse
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)


def read_batch(path):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    labels, pixels = raw[:, 0], raw[:, 1:].reshape(-1, 3, 32, 32)
    return pixels.astype(np.float32) / 255, labels.astype(np.int64)


def drawn_batch(n, seed):
    """Stand-in when CIFAR-10 is not on this machine: coloured blobs on coloured ground."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(KEEP), n)
    yy, xx = np.mgrid[:32, :32]
    pixels = np.empty((n, 3, 32, 32), dtype=np.float32)
    for i, c in enumerate(labels):
        k = KEEP[int(c)]
        cy, cx = rng.uniform(10, 22, 2)
        ry, rx = (4, 11) if k % 2 else (9, 5)
        blob = np.exp(-((yy - cy) / ry) ** 2 - ((xx - cx) / rx) ** 2)
        tint = rng.uniform(0.2, 0.8, (3, 1, 1))
        sign = 0.35 if k < 2 else -0.35
        pixels[i] = np.clip(tint + sign * blob + rng.normal(0, 0.08, (3, 32, 32)), 0, 1)
    return pixels, labels.astype(np.int64)


class CifarSubset(Dataset):
    def __init__(self, part, per_class, train):
        root = os.environ.get("TENFOLD_DATA")
        if root:
            path = Path(root) / "cifar10" / "cifar-10-batches-bin" / f"{part}.bin"
            pixels, labels = read_batch(path)
        else:
            pixels, labels = drawn_batch(per_class * 5, seed=len(part))
        picked = np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in KEEP])
        self.pixels = pixels[picked]
        self.labels = [KEEP[int(c)] for c in labels[picked]]
        self.train = train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        img = torch.from_numpy(self.pixels[index]).float().div(255)
        if self.train and torch.rand(()) < 0.5:
            img = img.flip(-1)
        return (img - MEAN) / STD, self.labels[index]


def make_model():
    layers, c = [], 3
    for width in (16, 32, 48):
        layers += [nn.Conv2d(c, width, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        c = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 16, 96), nn.ReLU(inplace=True), nn.Linear(96, len(KEEP)))


@torch.no_grad()
def accuracy(model, loader, device):
    model.eval()
    right = total = 0
    for x, y in loader:
        right += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
        total += len(y)
    return right / total


torch.manual_seed(3)
device = "cuda" if torch.cuda.is_available() else "cpu"
train_loader = DataLoader(CifarSubset("data_batch_1", 360, train=True), batch_size=32, shuffle=True)
test_loader = DataLoader(CifarSubset("test_batch", 150, train=False), batch_size=100)

model = make_model().to(device)
for m in model.modules():
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)

epochs = 5
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)

for epoch in range(epochs):
    model.train()
    losses = []
    for x, y in train_loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    print(f"[{epoch + 1}/{epochs}] loss {np.mean(losses):.4f}")

print(f"accuracy: {accuracy(model, test_loader, device):.3f}")
