# %% [markdown]
# # Icon classifier
# Weights are drawn from an explicit generator so that the net is the same on every machine.

# %%
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFilter
from torch.utils.data import DataLoader, TensorDataset

SEED, SIZE, CLASSES = 29, 20, 6
torch.manual_seed(SEED)


# %% Data: polygons and stars with a free angle
def icon(rng, cls):
    img = Image.new("L", (3 * SIZE, 3 * SIZE), int(rng.integers(0, 80)))
    points = [3, 4, 6][cls % 3]
    star = cls >= 3
    n = points * 2 if star else points
    r = rng.uniform(18, 25)
    cx, cy = rng.uniform(26, 34, 2)
    a0 = rng.uniform(0, 2 * math.pi)
    xy = []
    for k in range(n):
        rad = r * (0.4 if star and k % 2 else 1.0)
        xy.append((cx + rad * math.cos(a0 + 2 * math.pi * k / n), cy + rad * math.sin(a0 + 2 * math.pi * k / n)))
    ImageDraw.Draw(img).polygon(xy, fill=int(rng.integers(140, 256)))
    img = img.filter(ImageFilter.GaussianBlur(1)).resize((SIZE, SIZE), Image.BILINEAR)
    return np.asarray(img, np.float32) / 255 + rng.normal(0, 0.08, (SIZE, SIZE)).astype(np.float32)


def build(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % CLASSES)
    return torch.from_numpy(np.stack([icon(rng, c) for c in labels]))[:, None], torch.from_numpy(labels)


x_train, y_train = build(780, SEED)
x_test, y_test = build(300, SEED + 1)
mean, std = x_train.mean(), x_train.std()
train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), 39, shuffle=True)
test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), 100)


# %% Model
class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(c) for c in (width, 2 * width, 2 * width))
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(2 * width, CLASSES)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        x = torch.relu(self.bn3(self.conv3(x)))
        return self.fc(x.mean((2, 3)))


# %% Initialisation
def draw(shape, gain, gen=None):
    """One kernel of He-normal values; fan-in is the kernel's own size."""
    gen = gen or torch.Generator().manual_seed(SEED)
    return torch.randn(shape, generator=gen) * gain / math.sqrt(math.prod(shape))


@torch.no_grad()
def initialise(model):
    gen = torch.Generator().manual_seed(SEED)
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            for kernel in m.weight:
                kernel.copy_(draw(kernel.shape, gain=2 ** 0.5))
        elif isinstance(m, nn.Linear):
            m.weight.copy_(torch.randn(m.weight.shape, generator=gen) / math.sqrt(m.in_features))
            m.bias.zero_()
    return model


model = initialise(Net())
print("parameters:", sum(p.numel() for p in model.parameters()))

# %% Training
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    running = 0.0
    for inputs, targets in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"[{epoch + 1}] loss: {running / len(train_loader):.3f}")

# %% Test
model.eval()
correct = 0
with torch.no_grad():
    for inputs, targets in test_loader:
        correct += (model(inputs).argmax(1) == targets).sum().item()
print(f"accuracy: {correct / len(y_test):.3f}")
