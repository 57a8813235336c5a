# Read a pressure gauge: in which of six sectors does the needle point?
# Everything is held in memory as tensors, there is no loader.
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(3)
rng = np.random.default_rng(3)
device = "cuda" if torch.cuda.is_available() else "cpu"

SECTORS = 6
SWEEP = 300.0          # degrees between the two ends of the scale
S = 32

# ---- draw the dials -------------------------------------------------------
pictures, readings = [], []
for _ in range(1400):
    t = rng.uniform(0, 1)
    angle = math.radians(120 + SWEEP * t)
    img = Image.new("L", (2 * S, 2 * S), int(rng.integers(0, 50)))
    d = ImageDraw.Draw(img)
    cx, cy = S + rng.integers(-3, 4), S + rng.integers(-3, 4)
    r = rng.integers(23, 28)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(rng.integers(190, 250)))
    for k in range(SECTORS + 1):
        a = math.radians(120 + SWEEP * k / SECTORS)
        d.line([cx + (r - 5) * math.cos(a), cy + (r - 5) * math.sin(a),
                cx + r * math.cos(a), cy + r * math.sin(a)], fill=90, width=2)
    d.line([cx, cy, cx + (r - 4) * math.cos(angle), cy + (r - 4) * math.sin(angle)],
           fill=int(rng.integers(0, 60)), width=4)
    a = np.asarray(img.resize((S, S), Image.BOX), dtype=np.float32) / 255
    pictures.append(a + rng.normal(0, 0.04, a.shape).astype(np.float32))
    readings.append(t)

X = torch.from_numpy(np.stack(pictures)).float().unsqueeze(1)
t = torch.tensor(readings) * SECTORS
y = t.long().clamp(max=SECTORS - 1)

# a needle that sits on a mark can be read either way, those dials go
clear = (t - t.round()).abs() > 0.04
X, y = X[clear], y[clear]

order = torch.randperm(len(X))
held = len(X) // 5
Xte, yte = X[order[:held]], y[order[:held]]
Xtr, ytr = X[order[held:]], y[order[held:]]
mean, std = Xtr.mean(), Xtr.std()
Xtr, Xte = (Xtr - mean) / std, (Xte - mean) / std
print(len(Xtr), "dials to learn from,", len(Xte), "held back")

# ---- net ------------------------------------------------------------------
net = nn.Sequential(
    nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 4 * 4, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
    nn.Linear(64, SECTORS),
).to(device)

BATCH = 32
EPOCHS = 8
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)

for epoch in range(EPOCHS):
    net.train()
    perm = torch.randperm(len(Xtr))
    total = 0.0
    for i in range(0, len(perm), BATCH):
        idx = perm[i:i + BATCH]
        xb, yb = Xtr[idx].to(device), ytr[idx].to(device)
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    sched.step()
    print(f"epoch {epoch}  loss {total / len(perm):.3f}")

net.eval()
with torch.no_grad():
    hit = (net(Xte.to(device)).argmax(1).cpu() == yte).float().mean().item()
print(f"accuracy: {hit:.3f}")
