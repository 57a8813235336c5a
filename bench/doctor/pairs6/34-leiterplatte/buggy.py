"""
Component recognition for the solder inspection line.

The pilot lot gives a first model; once the labelled main lot has arrived, training
continues from the pilot checkpoint on everything there is.
"""
import math
import os
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

PARTS = ["resistor", "ceramic_cap", "electrolytic", "ic", "diode", "empty_pads"]
LR = 0.03
S = 22


def draw_part(rng, k):
    img = np.full((S, S), 0.30, np.float32)
    cx, cy = rng.integers(9, 14, 2)
    w, h = rng.integers(6, 8), rng.integers(3, 5)      # half sizes
    tone = rng.uniform(0.45, 0.8)
    yy, xx = np.mgrid[:S, :S]
    box = (abs(xx - cx) <= w) & (abs(yy - cy) <= h)
    if k == 0:
        img[box] = tone
        for b in rng.choice(np.arange(-4, 5, 2), 3, replace=False):
            img[box & (xx == cx + b)] = tone - 0.35
    elif k == 1:
        img[box] = tone
        img[box & (abs(xx - cx) >= w - 1)] = 0.95
    elif k == 2:
        r = np.hypot(xx - cx, yy - cy)
        img[r <= h + 3] = tone
        img[(r <= h + 3) & (xx - cx > h)] = 0.1
    elif k == 3:
        img[(abs(xx - cx) <= w) & (abs(yy - cy) == h + 1) & ((xx - cx) % 2 == 0)] = 0.9
        img[box] = tone - 0.3
    elif k == 4:
        img[box] = tone
        img[box & (abs(xx - (cx + w - 3)) <= 1)] = tone - 0.35
    else:
        img[box & (abs(xx - cx) >= w - 2)] = 0.9
    if rng.random() < 0.5:
        img = img[:, ::-1]
    if rng.random() < 0.5:
        img = img.T
    shade = 1 + rng.uniform(-0.3, 0.3) * (xx - S / 2) / S
    return img * shade * rng.uniform(0.7, 1.2) + rng.normal(0, 0.13, (S, S))


def lot(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(PARTS))
    x = np.stack([draw_part(rng, k) for k in y]).astype(np.float32)
    return torch.tensor(x).unsqueeze(1), torch.tensor(y)


def make_net():
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o),
                nn.ReLU(inplace=True), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 12), *stage(12, 24), *stage(24, 32), nn.Flatten(),
                         nn.Linear(32 * 2 * 2, len(PARTS)))


def batches(x, y, size=32):
    order = torch.randperm(len(y))
    for idx in order.split(size):
        yield x[idx], y[idx]


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


def train(net, x, y, epochs, val, checkpoint=None):
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, nesterov=True)
    done = 0
    if checkpoint is not None:
        saved = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["epoch"]
    steps = epochs * math.ceil(len(y) / 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps, eta_min=1e-5)
    for epoch in range(done + 1, done + epochs + 1):
        net.train()
        running = 0.0
        for xb, yb in batches(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            optimizer.step()
            schedule.step()
            running += loss.item() * len(yb)
        print(f"epoch {epoch:2d}: loss {running / len(y):.3f}, val {accuracy(net, *val):.3f}")
    return {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": done + epochs}


def main():
    torch.manual_seed(3)
    pilot, rest = lot(240, seed=10), lot(1260, seed=11)
    val, test = lot(300, seed=12), lot(600, seed=13)
    mean, std = pilot[0].mean(), pilot[0].std()        # fixed with the pilot lot, kept for the camera
    scale = lambda part: ((part[0] - mean) / std, part[1])
    pilot, rest, val, test = map(scale, (pilot, rest, val, test))

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pilot.pt")
        print("pilot lot")
        torch.save(train(make_net(), *pilot, epochs=3, val=val), path)

        print("pilot and main lot")
        net = make_net()
        x, y = torch.cat([pilot[0], rest[0]]), torch.cat([pilot[1], rest[1]])
        train(net, x, y, epochs=9, val=val, checkpoint=path)

    print(f"accuracy on {len(test[1])} test parts: {accuracy(net, *test):.4f}")


main()
