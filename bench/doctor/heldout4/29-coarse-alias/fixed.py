# round (disc, ring) against angular (square, triangle, cross), and the five shapes themselves
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
import numpy as np

torch.manual_seed(0)
np.random.seed(0)
S = 24
BATCH = 50


def shape_image(k):
    im = Image.new("L", (S, S), np.random.randint(0, 80))
    d = ImageDraw.Draw(im)
    r = np.random.randint(5, 9)
    cx = np.random.randint(r + 1, S - r - 1)
    cy = np.random.randint(r + 1, S - r - 1)
    c = int(np.random.randint(130, 256))
    box = [int(cx - r), int(cy - r), int(cx + r), int(cy + r)]
    x0, y0, x1, y1 = box
    if k == 0:
        d.ellipse(box, fill=c)
    elif k == 1:
        d.ellipse(box, outline=c, width=2)
    elif k == 2:
        d.rectangle(box, fill=c)
    elif k == 3:
        d.polygon([(int(cx), y0), (x0, y1), (x1, y1)], fill=c)
    else:
        d.line([x0, y0, x1, y1], fill=c, width=3)
        d.line([x0, y1, x1, y0], fill=c, width=3)
    return np.asarray(im, dtype=np.float32) / 255 + np.random.normal(0, 0.12, (S, S))


def make(n):
    y = np.random.randint(0, 5, n)
    x = np.stack([shape_image(k) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = make(2000)
x_test, y_test = make(500)
m, s = x_train.mean(), x_train.std()
x_train = (x_train - m) / s
x_test = (x_test - m) / s

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 3 * 3, 64), nn.ReLU(),
    nn.Linear(64, 5),
)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(1, 7):
    net.train()
    perm = torch.randperm(len(x_train))
    x_train, y_train = x_train[perm], y_train[perm]
    loss_sum, fine_hits, coarse_hits = 0.0, 0, 0
    for xb, yb in zip(x_train.split(BATCH), y_train.split(BATCH)):
        logits = net(xb)
        loss = F.cross_entropy(logits, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()

        # progress: the five shapes, then only round (0) or angular (1)
        loss_sum += loss.item() * len(yb)
        guess = logits.argmax(1)
        fine_hits += (guess == yb).sum().item()
        coarse = yb.clone()
        coarse[coarse <= 1] = 0
        coarse[coarse > 1] = 1
        coarse_hits += ((guess > 1).long() == coarse).sum().item()
    n = len(x_train)
    print(f"{epoch}: loss {loss_sum / n:.3f}  shape {fine_hits / n:.3f}  round/angular {coarse_hits / n:.3f}")

net.eval()
with torch.no_grad():
    acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.3f}")
