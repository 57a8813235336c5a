"""Read the sector a pressure gauge's needle points to (12 sectors) from a 32x32 photo-like picture."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

SECTORS = 12
BATCH = 50
EPOCHS = 5
torch.manual_seed(11)
rng = np.random.default_rng(11)
device = "cuda" if torch.cuda.is_available() else "cpu"


def gauge(sector):
    big = 64
    face = int(rng.integers(150, 235))
    im = Image.new("L", (big, big), int(rng.integers(20, 110)))
    d = ImageDraw.Draw(im)
    cx, cy = 32 + rng.uniform(-3, 3), 32 + rng.uniform(-3, 3)
    r = rng.uniform(24, 29)
    d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=face, outline=60, width=2)
    for k in range(13):
        t = math.radians(135 + k * 22.5)
        d.line((cx + .82 * r * math.cos(t), cy + .82 * r * math.sin(t),
                cx + .95 * r * math.cos(t), cy + .95 * r * math.sin(t)), fill=90, width=1)
    t = math.radians(135 + 22.5 * (sector + 0.5 + rng.uniform(-.33, .33)))
    ink = int(rng.integers(0, 60))
    d.line((cx - .2 * r * math.cos(t), cy - .2 * r * math.sin(t),
            cx + .78 * r * math.cos(t), cy + .78 * r * math.sin(t)), fill=ink, width=4)
    d.ellipse((cx - 4, cy - 4, cx + 4, cy + 4), fill=ink)
    a = np.asarray(im.resize((32, 32), Image.BILINEAR), dtype=np.float32)
    return a + rng.normal(0, 9, a.shape).astype(np.float32)


labels = rng.integers(0, SECTORS, 2000)
pixels = torch.tensor(np.stack([gauge(s) for s in labels])).unsqueeze(1) / 255
labels = torch.tensor(labels)
train_x, test_x = pixels[:1600], pixels[1600:]
train_y, test_y = labels[:1600].to(device), labels[1600:].to(device)
mean, std = train_x.mean(), train_x.std()
train_x = ((train_x - mean) / std).to(device)
test_x = ((test_x - mean) / std).to(device)

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 4 * 4, SECTORS),
).to(device)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)

for epoch in range(EPOCHS):
    net.train()
    loss_sum, conf_sum, hits = 0.0, 0.0, 0
    for idx in torch.randperm(len(train_x)).split(BATCH):
        xb, yb = train_x[idx], train_y[idx]
        logits = net(xb)
        probs = F.softmax(logits, dim=1)
        loss = F.cross_entropy(logits, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss_sum += loss.item() * len(idx)
        top, pred = probs.detach().max(dim=1)
        conf_sum += top.sum().item()
        hits += (pred == yb).sum().item()
    sched.step()
    n = len(train_x)
    print(f"epoch {epoch}  loss {loss_sum / n:.3f}  confidence {conf_sum / n:.2f}  train acc {hits / n:.3f}")

net.eval()
with torch.no_grad():
    acc = (net(test_x).argmax(1) == test_y).float().mean().item()
print(f"accuracy: {acc:.3f}")
