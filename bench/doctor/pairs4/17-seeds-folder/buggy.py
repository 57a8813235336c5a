# coding: utf-8
# Exported from grain_classifier.ipynb

# In[1]:
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
rng = np.random.default_rng(7)
GRAINS = ["wheat", "lentil", "rice", "maize"]

# In[2]:
# ## The camera: one picture per grain, labels in a text file in the order of capture


def photograph(kind):
    im = Image.new("L", (72, 72), int(rng.integers(20, 60)))
    pen = ImageDraw.Draw(im)
    tone = int(rng.integers(140, 230))
    s = rng.uniform(0.85, 1.15)
    if kind == 0:    # oval with a crease
        pen.ellipse((36 - 24 * s, 36 - 13 * s, 36 + 24 * s, 36 + 13 * s), fill=tone)
        pen.line((36 - 22 * s, 36, 36 + 22 * s, 36), fill=tone - 90, width=4)
    elif kind == 1:  # disc
        pen.ellipse((36 - 18 * s, 36 - 18 * s, 36 + 18 * s, 36 + 18 * s), fill=tone)
    elif kind == 2:  # thin sliver
        pen.ellipse((36 - 26 * s, 36 - 7 * s, 36 + 26 * s, 36 + 7 * s), fill=tone)
    else:            # wedge
        pen.polygon([(36 - 22 * s, 36 - 16 * s), (36 + 22 * s, 36), (36 - 22 * s, 36 + 16 * s)], fill=tone)
    im = im.rotate(float(rng.uniform(0, 360)), Image.Resampling.BILINEAR, fillcolor=im.getpixel((0, 0)))
    im = im.resize((24, 24), Image.Resampling.BOX)
    a = np.asarray(im, dtype=np.float32) + rng.normal(0, 10, (24, 24))
    return Image.fromarray(a.clip(0, 255).astype(np.uint8))


def capture(folder, count):
    folder.mkdir()
    kinds = rng.permutation(np.arange(count) % len(GRAINS))
    for i, k in enumerate(kinds):
        photograph(k).save(folder / f"grain_{i:03d}.png")
    (folder / "labels.txt").write_text("\n".join(GRAINS[k] for k in kinds))


# In[3]:
# ## Reading


def frame_number(path):
    return path.stem.split("_")[1]


def load(folder):
    files = sorted(folder.glob("grain_*.png"), key=frame_number)
    names = (folder / "labels.txt").read_text().split()
    assert len(files) == len(names)
    x = np.stack([np.asarray(Image.open(f), dtype=np.float32) for f in files]) / 255
    y = np.array([GRAINS.index(n) for n in names])
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


with tempfile.TemporaryDirectory() as tmp:
    capture(Path(tmp) / "train", 1280)
    capture(Path(tmp) / "test", 400)
    x_train, y_train = load(Path(tmp) / "train")
    x_test, y_test = load(Path(tmp) / "test")

mu, sigma = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sigma, (x_test - mu) / sigma
print(x_train.shape, x_test.shape, torch.bincount(y_train).tolist())

# In[4]:
# ## Model
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, len(GRAINS)),
)

# In[5]:
# ## Training
train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=40, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()

history = []
for epoch in range(5):
    model.train()
    losses = []
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    history.append(np.mean(losses))
    print("epoch", epoch + 1, "loss", round(float(history[-1]), 4))

# In[6]:
model.eval()
with torch.no_grad():
    pred = model(x_test).argmax(1)
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
