# Which driver does this screw need?  Hex, Torx and the like are rare in the bin, so those get extra copies.
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(12)
torch.manual_seed(12)

drives = ["slot", "cross", "hex", "torx", "square", "tri-wing"]
in_bin = [320, 280, 26, 24, 22, 20]
side = 30
grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="xy")).astype(np.float32) - side / 2 + 0.5


def screw(drive):
    cx, cy = rng.uniform(-2, 2, 2)
    x, y = grid[0] - cx, grid[1] - cy
    rad, ang = np.hypot(x, y), np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)
    u, v = rad * np.cos(ang), rad * np.sin(ang)
    size = rng.uniform(0.9, 1.15)
    if drive == 0:
        hole = (np.abs(u) < 8.5 * size) & (np.abs(v) < 1.6)
    elif drive == 1:
        hole = ((np.abs(u) < 6.5 * size) & (np.abs(v) < 1.5)) | ((np.abs(v) < 6.5 * size) & (np.abs(u) < 1.5))
    elif drive == 2:
        hole = rad * np.cos((ang % (np.pi / 3)) - np.pi / 6) < 5.2 * size
    elif drive == 3:
        hole = rad < (5.2 + 1.9 * np.cos(6 * ang)) * size
    elif drive == 4:
        hole = (np.abs(u) < 4.3 * size) & (np.abs(v) < 4.3 * size)
    else:
        third = (ang % (2 * np.pi / 3)) - np.pi / 3
        hole = (rad < 7.0 * size) & (np.abs(rad * np.sin(third)) < 1.5) & (np.abs(third) < np.pi / 2.5)
    steel = rng.uniform(0.55, 0.85) + 0.012 * (x * rng.normal() + y * rng.normal())
    img = np.where(rad < 12.5, steel, rng.uniform(0.05, 0.4))
    img = np.where(hole, rng.uniform(0.08, 0.3), img)
    return (img + rng.normal(0, 0.06, img.shape)).astype(np.float32)


def wobble(batch):
    """Turn by quarter turns, shift a little, change the light."""
    out = np.empty_like(batch)
    for i, img in enumerate(batch):
        img = np.rot90(img, rng.integers(4))
        img = np.roll(img, rng.integers(-1, 2, 2), axis=(0, 1))
        out[i] = img * rng.uniform(0.85, 1.15) + rng.normal(0, 0.03, img.shape)
    return out


# the bin, and a balanced tray of other screws to test on
y = rng.permutation(np.repeat(np.arange(6), in_bin))
x = np.stack([screw(d) for d in y])
test_y = np.repeat(np.arange(6), 50)
test_x = np.stack([screw(d) for d in test_y])

# twelve more copies of the rare ones
copies = 12
rare = np.flatnonzero(np.isin(y, [2, 3, 4, 5]))
more_x = np.concatenate([wobble(x[rare]) for _ in range(copies)])
more_y = np.repeat(y[rare], copies)
x, y = np.concatenate([x, more_x]), np.concatenate([y, more_y])
print("training images per drive:", dict(zip(drives, np.bincount(y).tolist())))

mean, std = float(x.mean()), float(x.std())
as_tensor = lambda a: torch.from_numpy((a - mean) / std)[:, None]
train = DataLoader(TensorDataset(as_tensor(x), torch.from_numpy(y)), batch_size=48, shuffle=True, drop_last=True)
test = DataLoader(TensorDataset(as_tensor(test_x), torch.from_numpy(test_y)), batch_size=90)


class Res(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.na = nn.BatchNorm2d(cout)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.nb = nn.BatchNorm2d(cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False) if (stride > 1 or cin != cout) else nn.Identity()

    def forward(self, t):
        h = torch.relu(self.na(self.a(t)))
        return torch.relu(self.nb(self.b(h)) + self.skip(t))


model = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                      Res(8, 16, 2), Res(16, 32, 2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 6))
opt = torch.optim.SGD(model.parameters(), lr=0.08, momentum=0.9, weight_decay=2e-4)
epochs = 5
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)

for epoch in range(epochs):
    model.train()
    losses = []
    for xb, yb in train:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
    print("epoch %d: %.4f" % (epoch + 1, np.mean(losses)))

model.eval()
good = 0
with torch.no_grad():
    for xb, yb in test:
        good += (model(xb).argmax(1) == yb).sum().item()
print("accuracy: %.3f" % (good / len(test_y)))
