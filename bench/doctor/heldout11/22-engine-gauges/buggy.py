# %% [markdown]
# Reading the engine-room gauges: which zone is the needle in?
# One sigmoid per zone, as in our detector, so that a worn dial may also answer "none".

# %%
import math
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ZONES = ["off", "low", "normal", "high", "redline"]
SPANS = [(-135, -100), (-88, -40), (-28, 28), (40, 88), (100, 135)]     # degrees from straight up
SIDE = 24
rng = np.random.default_rng(2024)
torch.manual_seed(2024)

# %%
yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)


def segment(img, x0, y0, x1, y1, width, value):
    px, py, vx, vy = xx - x0, yy - y0, x1 - x0, y1 - y0
    t = np.clip((px * vx + py * vy) / (vx * vx + vy * vy), 0, 1)
    dist = np.hypot(px - t * vx, py - t * vy)
    a = np.clip(width - dist, 0, 1)
    return img * (1 - a) + value * a


def gauge(zone):
    cx, cy = 11.5 + rng.uniform(-1.5, 1.5, 2)
    radius, mount = rng.uniform(8.5, 10.5), rng.normal(0, 4)
    face, ink = (0.85, 0.1) if rng.random() < 0.5 else (0.15, 0.9)      # white or black dials
    img = np.full((SIDE, SIDE), rng.uniform(0.3, 0.6))
    img = np.where(np.hypot(xx - cx, yy - cy) < radius, face, img)
    for tick in range(-135, 136, 45):
        a = math.radians(tick + mount)
        img = segment(img, cx + .8 * radius * math.sin(a), cy - .8 * radius * math.cos(a),
                      cx + .95 * radius * math.sin(a), cy - .95 * radius * math.cos(a), 0.9, ink)
    a = math.radians(rng.uniform(*SPANS[zone]) + mount)
    img = segment(img, cx - .2 * radius * math.sin(a), cy + .2 * radius * math.cos(a),
                  cx + .75 * radius * math.sin(a), cy - .75 * radius * math.cos(a), 1.2, ink)
    gx, gy = rng.uniform(4, 20, 2)                                       # glare on the glass
    img = img + 0.35 * np.exp(-((xx - gx) ** 2 + (yy - gy) ** 2) / 8)
    return img + rng.normal(0, 0.08, img.shape)


def take(n):
    y = rng.permutation(np.arange(n) % len(ZONES))
    x = np.stack([gauge(z) for z in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


x_train, y_train = take(1500)
x_valid, y_valid = take(300)
x_test, y_test = take(500)
mean, std = x_train.mean(), x_train.std()
x_train, x_valid, x_test = [(x - mean) / std for x in (x_train, x_valid, x_test)]
print("train", tuple(x_train.shape), "valid", tuple(x_valid.shape), "test", tuple(x_test.shape))


# %%
class GaugeNet(nn.Module):
    def __init__(self, zones, prior):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 5, padding=2)
        self.mid = nn.Conv2d(16, 24, 3, padding=1)
        self.deep = nn.Conv2d(24, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * 9, 64)
        self.score = nn.Linear(64, zones)
        self.reset(-math.log((1 - prior) / prior))

    def reset(self, prior_logit):
        # start every zone's sigmoid at the prior, so that the early loss isn't ruled by the negatives
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.constant_(m.bias, prior_logit)
        nn.init.normal_(self.score.weight, std=0.01)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        x = F.max_pool2d(F.relu(self.mid(x)), 2)
        x = F.max_pool2d(F.relu(self.deep(x)), 2)
        return self.score(F.relu(self.hidden(x.flatten(1))))


net = GaugeNet(len(ZONES), prior=0.02)
print(sum(p.numel() for p in net.parameters()), "parameters")


# %%
def accuracy(x, y):
    net.eval()
    with torch.no_grad():
        best = torch.cat([net(part).argmax(1) for part in x.split(250)])
    return (best == y).float().mean().item()


BATCH, EPOCHS = 50, 10
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
began = time.time()
for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(BATCH):
        target = F.one_hot(y_train[idx], len(ZONES)).float()
        loss = F.binary_cross_entropy_with_logits(net(x_train[idx]), target, reduction="sum") / len(idx)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item() * len(idx)
    schedule.step()
    print(f"{epoch + 1:2d}  loss {running / len(x_train):.4f}  valid acc {accuracy(x_valid, y_valid):.3f}")
print(f"{time.time() - began:.1f} s")

# %%
print(f"accuracy on the test dials: {accuracy(x_test, y_test):.3f}")
