# Reads the needle of an analogue gauge: six ranges from empty (left) to full (right).
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

N_LEVELS = 6
SIZE = 28
AUG = {"shift": 1, "noise": 0.05, "flip": 0.5}
rng = np.random.default_rng(17)
torch.manual_seed(17)


def photograph(level):
    span = 180.0 / N_LEVELS
    theta = np.deg2rad(180.0 - span * (level + 0.5) + rng.uniform(-0.36, 0.36) * span)
    face = int(rng.integers(150, 220))
    img = Image.new("L", (SIZE, SIZE), int(rng.integers(40, 100)))
    pen = ImageDraw.Draw(img)
    pen.pieslice((2, 5, 25, 37), 180, 360, fill=face)
    cx, cy, length = 13.5, 21.0, rng.uniform(10, 13)
    pen.line((cx, cy, cx + length * np.cos(theta), cy - length * np.sin(theta)), fill=face - 130, width=2)
    pen.ellipse((11, 19, 16, 23), fill=face - 130)
    return np.asarray(img, dtype=np.float32) / 255.0


def collect(n):
    levels = rng.permutation(np.arange(n) % N_LEVELS)
    images = np.stack([photograph(k) for k in levels])
    images += rng.normal(0, 0.08, images.shape).astype(np.float32)
    return images, levels


def augment(batch):
    batch = batch.copy()
    dy, dx = rng.integers(-AUG["shift"], AUG["shift"] + 1, 2)
    batch = np.roll(batch, (dy, dx), axis=(1, 2))
    mirrored = rng.random(len(batch)) < AUG["flip"]
    batch[mirrored] = batch[mirrored][:, :, ::-1]
    return batch + rng.normal(0, AUG["noise"], batch.shape).astype(np.float32)


def to_tensor(batch):
    return torch.from_numpy((batch - MEAN) / STD).float().unsqueeze(1)


train_images, train_levels = collect(1800)
test_images, test_levels = collect(480)
MEAN, STD = float(train_images.mean()), float(train_images.std())

net = nn.Sequential(
    nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.ReLU(),
    nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 7 * 7, 48), nn.ReLU(),
    nn.Linear(48, N_LEVELS),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
one_hot = np.eye(N_LEVELS, dtype=np.float32)

for epoch in range(6):
    net.train()
    order = rng.permutation(len(train_images))
    losses = []
    for chunk in np.split(order, len(order) // 45):
        x = to_tensor(augment(train_images[chunk]))
        target = torch.from_numpy(one_hot[train_levels[chunk]])
        loss = criterion(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print("epoch", epoch + 1, "loss", round(float(np.mean(losses)), 4))

net.eval()
with torch.no_grad():
    scores = net(to_tensor(test_images)).numpy()
accuracy = np.mean(scores.argmax(axis=1) == test_levels)
print(f"accuracy: {accuracy:.3f}")
