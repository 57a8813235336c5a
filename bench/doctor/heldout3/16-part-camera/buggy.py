"""Sort small machine parts seen from above by a conveyor camera."""
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

KINDS = ("disk", "ring", "hexagon", "bar", "cross")
SIZE = 32


def draw(kind, rng):
    img = Image.new("L", (SIZE, SIZE), rng.randint(20, 70))
    d = ImageDraw.Draw(img)
    cx, cy, r = SIZE / 2 + rng.uniform(-4, 4), SIZE / 2 + rng.uniform(-4, 4), rng.uniform(6, 9)
    tone, a = rng.randint(120, 220), rng.uniform(0, math.pi)
    box = [cx - r, cy - r, cx + r, cy + r]
    arm = lambda t: [cx - r * math.cos(t), cy - r * math.sin(t), cx + r * math.cos(t), cy + r * math.sin(t)]
    if kind == "disk":
        d.ellipse(box, fill=tone)
    elif kind == "ring":
        d.ellipse(box, outline=tone, width=3)
    elif kind == "hexagon":
        d.polygon([(cx + r * math.cos(a + k * math.pi / 3), cy + r * math.sin(a + k * math.pi / 3)) for k in range(6)], outline=tone, width=3)
    elif kind == "bar":
        d.line(arm(a), fill=tone, width=4)
    else:
        d.line(arm(a), fill=tone, width=4)
        d.line(arm(a + math.pi / 2), fill=tone, width=4)
    return np.asarray(img, dtype=np.float32)


def make_split(n, seed):
    rng = random.Random(seed)
    noise = np.random.default_rng(seed)
    y = [i % len(KINDS) for i in range(n)]
    x = np.stack([draw(KINDS[k], rng) for k in y]) + noise.normal(0, 6, (n, SIZE, SIZE))
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


def jitter(x, shift=0.35, turn=math.pi, zoom=0.35, active=True):
    """Per-sample rotation, shift and zoom of the whole batch."""
    if not active:
        return x
    n = x.size(0)
    t = (torch.rand(n) * 2 - 1) * turn
    s = 1 + (torch.rand(n) * 2 - 1) * zoom
    d = (torch.rand(n, 2) * 2 - 1) * shift
    theta = torch.stack([torch.stack([s * t.cos(), -s * t.sin(), d[:, 0]], 1),
                         torch.stack([s * t.sin(), s * t.cos(), d[:, 1]], 1)], 1)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), mode="nearest", padding_mode="border", align_corners=False)
    return x


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2))


class PartNet(nn.Module):
    def __init__(self, mean, std, classes):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.features = nn.Sequential(block(1, 12), block(12, 24), block(24, 48))
        self.head = nn.Linear(48, classes)

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = jitter(x)
        x = self.features(x).mean(dim=(2, 3))
        return self.head(x)


def run_epoch(net, loader, opt=None):
    net.train(opt is not None)
    right = total = 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            out = net(x)
            if opt is not None:
                loss = F.cross_entropy(out, y)
                opt.zero_grad()
                loss.backward()
                opt.step()
            right += (out.argmax(1) == y).sum().item()
            total += y.numel()
    return right / total


def main():
    torch.manual_seed(3)
    xtr, ytr = make_split(1200, seed=1)
    xva, yva = make_split(400, seed=2)
    train = DataLoader(TensorDataset(xtr, ytr), batch_size=50, shuffle=True)
    valid = DataLoader(TensorDataset(xva, yva), batch_size=100)
    net = PartNet(xtr.mean(), xtr.std(), len(KINDS))
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    epochs = 8
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(epochs):
        tr = run_epoch(net, train, opt)
        plan.step()
        va = run_epoch(net, valid)
        print(f"epoch {epoch}: train {tr:.3f} valid {va:.3f}")
    print(f"accuracy: {va:.3f}")


if __name__ == "__main__":
    main()
