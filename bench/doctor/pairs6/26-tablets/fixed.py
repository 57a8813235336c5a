# %% [markdown]
# # Counting tablets in the dosing cup
# The camera looks into the cup from above, 1 to 5 tablets. One class per count,
# so that the reject station gets a probability for every number.

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.set_num_threads(1)
torch.manual_seed(77)
rng = np.random.default_rng(77)
H = 40
MAX_TABLETS = 5


# %%
def cup_image(count):
    yy, xx = np.mgrid[:H, :H]
    img = np.full((H, H), rng.uniform(0.2, 0.45))
    img += rng.uniform(-0.004, 0.004) * (xx - H / 2) + rng.uniform(-0.004, 0.004) * (yy - H / 2)
    centres = []
    while len(centres) < count:
        c = rng.uniform(8, H - 8, 2)
        if all(np.hypot(*(c - o)) > 8.5 for o in centres):
            centres.append(c)
    white = rng.uniform(0.3, 0.5)
    for cy, cx in centres:
        r, ecc, phi = rng.uniform(2.7, 3.4), rng.uniform(1.0, 1.25), rng.uniform(0, np.pi)
        u = (xx - cx) * np.cos(phi) + (yy - cy) * np.sin(phi)
        v = -(xx - cx) * np.sin(phi) + (yy - cy) * np.cos(phi)
        d = np.sqrt((u / ecc) ** 2 + (v * ecc) ** 2)
        img += white * rng.uniform(0.9, 1.1) / (1 + np.exp((d - r) / 0.4))
    return (img + rng.normal(0, 0.06, img.shape)).astype(np.float32)


counts = rng.integers(1, MAX_TABLETS + 1, 2100)
images = torch.from_numpy(np.stack([cup_image(c) for c in counts])).unsqueeze(1)
labels = torch.from_numpy(counts - 1)
full = TensorDataset(images, labels)
train_set, val_set, test_set = random_split(full, [1400, 250, 450])
mean, std = images[train_set.indices].mean(), images[train_set.indices].std()
print(images.shape, "mean %.3f std %.3f" % (mean, std))

# %%
train_loader = DataLoader(train_set, batch_size=35, shuffle=True)
val_loader = DataLoader(val_set, batch_size=125)
test_loader = DataLoader(test_set, batch_size=150)


# %% [markdown]
# The usual recipe: pad, crop back to the old size, mirror.

# %%
def pad_crop(x, pad):
    padded = F.pad(x, (pad,) * 4, mode="reflect")
    out = []
    for img in padded:
        i, j = torch.randint(0, 2 * pad + 1, (2,)).tolist()
        out.append(img[:, i:i + H, j:j + H])
    return torch.stack(out)


def augment(x):
    x = pad_crop(x, pad=3)
    if torch.rand(1).item() < 0.5:
        x = x.flip(-1)
    if torch.rand(1).item() < 0.5:
        x = x.flip(-2)
    return x


def normalise(x):
    return (x - mean) / std


# %%
class CountNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 10, 5, padding=2, bias=False), nn.BatchNorm2d(10)
        self.c2, self.b2 = nn.Conv2d(10, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20)
        self.c3, self.b3 = nn.Conv2d(20, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24)
        self.out = nn.Linear(24, MAX_TABLETS)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.b2(self.c2(x))), 2)
        x = F.relu(self.b3(self.c3(x)))
        return self.out(x.sum(dim=(2, 3)) / 20.0)


def evaluate(loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(normalise(x)).argmax(1) == y).sum().item()
            total += len(y)
    return right / total


# %%
model = CountNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
history = []
for epoch in range(10):
    model.train()
    losses = []
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(normalise(augment(x))), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    history.append((np.mean(losses), evaluate(val_loader)))
    print("epoch %2d   train loss %.3f   val accuracy %.3f" % (epoch + 1, *history[-1]))

# %%
print("test accuracy: %.4f" % evaluate(test_loader))
