import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw


def clocks(n, rng):
    """Clock faces with one hand; sixteen directions."""
    y = rng.integers(0, 16, n)
    x = np.zeros((n, 1, 32, 32), np.float32)
    for i, k in enumerate(y):
        im = Image.new("L", (32, 32), int(rng.integers(0, 60)))
        d = ImageDraw.Draw(im)
        d.ellipse((2, 2, 29, 29), outline=180)
        a = k * np.pi / 8 + rng.uniform(-0.12, 0.12)
        tip = rng.uniform(5, 7)
        px, py = 15.5 + tip * np.cos(a), 15.5 + tip * np.sin(a)
        d.line((15.5, 15.5, px, py), fill=220, width=2)
        d.line((15.5, 15.5, 31 - px, 31 - py), fill=220, width=2)
        d.ellipse((px - 1.5, py - 1.5, px + 1.5, py + 1.5), fill=250)
        x[i, 0] = np.asarray(im) / 255.0
    x += rng.normal(0, 0.15, x.shape)
    return torch.from_numpy((x - 0.3) / 0.3).float(), torch.from_numpy(y)


PLAN = [8, "M", "M", "M", 16, "M", 32, "M", 32]


def build(plan):
    layers, c = [], 1
    for item in plan:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, item, 3, padding=1), nn.ReLU()]
            c = item
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(16))


rng = np.random.default_rng(0)
torch.manual_seed(0)
x, y = clocks(1200, rng)
tx, ty = clocks(400, rng)
model = build(PLAN)
model(x[:2])
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(8):
    model.train()
    total = 0.0
    for idx in torch.randperm(1200).split(40):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
        total += loss.item()
    print("epoch %d: %.3f" % (epoch + 1, total / 30))
model.eval()
with torch.no_grad():
    print("accuracy: %.3f" % (model(tx).argmax(1) == ty).float().mean())
