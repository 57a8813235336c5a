# Spiral handedness: left- or right-winding, one or two arms (4 classes).
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

SIZE = 28


def draw_spiral(rng, winding, arms):
    """One grey image of a spiral; `winding` is +1 or -1."""
    big = SIZE * 3
    im = Image.new("L", (big, big), 0)
    pen = ImageDraw.Draw(im)
    cx, cy = big / 2 + rng.uniform(-5, 5, 2)
    start = rng.uniform(0, 2 * math.pi)
    reach = rng.uniform(30, 38)
    turns = rng.uniform(1.0, 1.3)
    for a in range(arms):
        t = np.linspace(0.08, 1, 60)
        angle = start + winding * t * turns * 2 * math.pi + a * 2 * math.pi / arms
        pts = list(zip(cx + reach * t * np.cos(angle), cy + reach * t * np.sin(angle)))
        pen.line(pts, fill=int(rng.integers(150, 255)), width=6)
    arr = np.asarray(im.resize((SIZE, SIZE), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    return arr + rng.normal(0, 0.08, arr.shape).astype(np.float32)


def make_set(rng, n):
    y = rng.permutation(np.arange(n) % 4)
    x = np.stack([draw_spiral(rng, 1 if c % 2 else -1, 1 + c // 2) for c in y])
    return torch.from_numpy(x).float()[:, None], torch.from_numpy(y).long()


def quarter_turn(img):
    return img.transpose(-2, -1).flip(-1)


def turn(img, k):
    for _ in range(k):
        img = quarter_turn(img)
    return img


def augment(batch, gen):
    """A random number of quarter turns and a small shift for each image."""
    out = []
    for img in batch:
        k = int(torch.randint(4, (), generator=gen))
        dy, dx = torch.randint(-1, 2, (2,), generator=gen).tolist()
        padded = F.pad(turn(img, k), (1, 1, 1, 1))
        out.append(padded[:, 1 + dy:1 + dy + SIZE, 1 + dx:1 + dx + SIZE])
    return torch.stack(out)


class SpiralNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, padding=2, bias=False)
        self.n1 = nn.BatchNorm2d(12)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(24)
        self.c3 = nn.Conv2d(24, 48, 3, padding=1, bias=False)
        self.n3 = nn.BatchNorm2d(48)
        self.head = nn.Linear(48 * 9, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        x = F.max_pool2d(F.relu(self.n3(self.c3(x))), 2)
        return self.head(x.flatten(1))


def main():
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    gen = torch.Generator().manual_seed(33)
    xtr, ytr = make_set(rng, 1200)
    xte, yte = make_set(rng, 300)
    mean, std = xtr.mean(), xtr.std()
    xtr, xte = (xtr - mean) / std, (xte - mean) / std

    net = SpiralNet()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)
    epochs, batch = 5, 50
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.05, total_steps=epochs * len(xtr) // batch)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(xtr), generator=gen).split(batch):
            loss = F.cross_entropy(net(augment(xtr[idx], gen)), ytr[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch}  train loss {total / len(xtr):.3f}")
    net.eval()
    with torch.no_grad():
        acc = (net(xte).argmax(1) == yte).float().mean().item()
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
