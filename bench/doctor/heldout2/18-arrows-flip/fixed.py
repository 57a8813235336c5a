# Arrow direction classifier (N, NE, E, SE, S, SW, W, NW)
import math
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

DIRECTIONS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"]


def arrow(direction, rng):
    im = Image.new("L", (96, 96), int(rng.integers(0, 60)))  # four times too large, for smooth edges
    d = ImageDraw.Draw(im)
    ang = DIRECTIONS.index(direction) * math.pi / 4 + rng.normal(0, 0.08)
    cx, cy = 48 + rng.uniform(-8, 8), 48 + rng.uniform(-8, 8)
    ux, uy = math.sin(ang), -math.cos(ang)
    L = rng.uniform(28, 36)
    tip = (cx + L * ux, cy + L * uy)
    tail = (cx - L * ux, cy - L * uy)
    ink = int(rng.integers(140, 256))
    d.line([tail, tip], fill=ink, width=8)
    for side in (2.5, -2.5):
        a = ang + side
        d.line([tip, (tip[0] + 24 * math.sin(a), tip[1] - 24 * math.cos(a))], fill=ink, width=8)
    im = im.resize((24, 24), Image.BOX)
    return np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, 0.2, (24, 24))


def dataset(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 8, n)
    x = np.stack([arrow(DIRECTIONS[k], rng) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32).sub(0.24).div(0.3), torch.tensor(y)


def augment(batch):
    """Photometric and geometric jitter for a training batch."""
    gain = 1 + 0.2 * torch.randn(len(batch), 1, 1, 1)
    batch = batch * gain
    shift = torch.randint(-2, 3, (2,)).tolist()
    batch = torch.roll(batch, shift, dims=(2, 3))
    return batch


class ArrowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, padding=2)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 6 * 6, 8)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.c1(x).relu())
        x = self.pool(self.c2(x).relu())
        return self.fc(x.flatten(1))


def main():
    torch.manual_seed(12)
    x, y = dataset(1600, 1)
    xv, yv = dataset(400, 2)
    net, ce = ArrowNet(), nn.CrossEntropyLoss()
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=8)
    for epoch in range(8):
        net.train()
        for idx in torch.randperm(1600).split(40):
            loss = ce(net(augment(x[idx])), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
        net.eval()
        with torch.no_grad():
            acc = (net(xv).argmax(1) == yv).float().mean().item()
        print("epoch", epoch, "val", round(acc, 3))
    print(f"accuracy: {acc:.3f}")


main()
