import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

SIZE, CLASSES = 24, 5


def texture(kind, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    period = rng.uniform(4.0, 7.0)
    u = 2 * np.pi * (xx + rng.uniform(0, period)) / period
    v = 2 * np.pi * (yy + rng.uniform(0, period)) / period
    if kind == 0:
        g = np.sin(u)
    elif kind == 1:
        g = np.sin(v)
    elif kind == 2:
        g = np.sin((u + v) / np.sqrt(2))
    elif kind == 3:
        g = np.sign(np.sin(u) * np.sin(v))
    else:
        g = 2.5 * np.maximum(np.sin(u), 0) * np.maximum(np.sin(v), 0) - 0.5
    tint = rng.uniform(0.3, 1.0, (3, 1, 1))
    return 0.5 + 0.25 * tint * g[None] + rng.normal(0, 0.12, (3, SIZE, SIZE))


class Textures(Dataset):
    def __init__(self, n, seed, stats=None):
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, CLASSES, n)
        x = np.stack([texture(k, rng) for k in self.labels]).astype(np.float32)
        if stats is None:
            stats = x.mean((0, 2, 3), keepdims=True), x.std((0, 2, 3), keepdims=True)
        self.stats = stats
        self.images = torch.from_numpy((x - stats[0]) / stats[1])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], int(self.labels[i])


def branch(cin, cout, dilation):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(),
    )


class MultiScaleNet(nn.Module):
    """Stem, then parallel dilated branches, each pooled to one descriptor."""

    def __init__(self, width=16, dilations=(1, 2, 3)):
        super().__init__()
        self.stem = nn.Sequential(branch(3, width, 1), nn.MaxPool2d(2))
        self.branches = nn.ModuleList([branch(width, 20, d) for d in dilations])
        self.head = nn.Linear(20 * len(dilations), CLASSES)

    def forward(self, x):
        x = self.stem(x)
        pooled = [F.adaptive_avg_pool2d(b(x), 1).flatten(1) for b in self.branches]
        descriptors = torch.stack(pooled)
        return self.head(descriptors.reshape(x.shape[0], -1))


torch.manual_seed(3)
train_set = Textures(1600, seed=30)
test_set = Textures(500, seed=31, stats=train_set.stats)
train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
test_loader = DataLoader(test_set, batch_size=100)

model = MultiScaleNet()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
for epoch in range(4):
    model.train()
    running = 0.0
    for xb, yb in train_loader:
        loss = F.cross_entropy(model(xb), yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        running += loss.item()
    print("epoch", epoch, "train loss", round(running / len(train_loader), 4))

model.eval()
with torch.no_grad():
    correct = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in test_loader)
print(f"accuracy: {correct / len(test_set):.3f}")
