import random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

random.seed(3)
np.random.seed(3)
torch.manual_seed(3)

SHAPES = ["disc", "ring", "square", "triangle", "cross"]


def draw(shape):
    im = Image.new("L", (24, 24), random.randint(0, 60))
    d = ImageDraw.Draw(im)
    r = random.randint(5, 8)
    cx, cy = 12 + random.randint(-2, 2), 12 + random.randint(-2, 2)
    ink = random.randint(150, 255)
    box = (cx - r, cy - r, cx + r, cy + r)
    if shape == "disc":
        d.ellipse(box, fill=ink)
    elif shape == "ring":
        d.ellipse(box, outline=ink, width=2)
    elif shape == "square":
        d.rectangle(box, fill=ink)
    elif shape == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=ink)
    else:
        d.rectangle((cx - r, cy - 1, cx + r, cy + 1), fill=ink)
        d.rectangle((cx - 1, cy - r, cx + 1, cy + r), fill=ink)
    a = np.asarray(im, dtype=np.float32) / 255
    return a + np.random.normal(0, 0.15, a.shape).astype(np.float32)


def dataset(n):
    y = np.arange(n) % len(SHAPES)
    x = np.stack([draw(SHAPES[k]) for k in y])[:, None]
    return torch.tensor(x), torch.tensor(y)


x_train, y_train = dataset(2000)
x_test, y_test = dataset(500)
mu, sigma = x_train.mean(), x_train.std()
x_train = (x_train - mu) / sigma
x_test = (x_test - mu) / sigma

body = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(),
)
head = nn.Linear(32 * 2 * 2, len(SHAPES))
for m in body:
    if isinstance(m, nn.Conv2d):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)

opt = torch.optim.SGD(list(body.parameters()) + list(head.parameters()), lr=0.02, momentum=0.9)

for epoch in range(5):
    body.train()
    head.train()
    losses = []
    perm = torch.randperm(len(x_train))
    for i in range(0, len(perm), 50):
        idx = perm[i:i + 50]
        head.zero_grad()
        loss = F.cross_entropy(head(body(x_train[idx])), y_train[idx])
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"{epoch}: {np.mean(losses):.4f}")

body.eval()
head.eval()
with torch.no_grad():
    pred = head(body(x_test)).argmax(1)
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
