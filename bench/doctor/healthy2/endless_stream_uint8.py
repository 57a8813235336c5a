"""An endless stream of uint8 pictures, read with next(), channels last.

Every training picture is drawn when it is asked for and never seen again, so
there are no epochs and nothing to shuffle: labels are drawn at random.  The
net itself turns bytes into centred floats.
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, IterableDataset

PALETTE = np.array([[200, 60, 60], [60, 180, 80], [70, 90, 210]], dtype=np.float64)


def draw(rng):
    """Class = direction of a two-colour gradient pattern, colours are noise."""
    label = int(rng.integers(4))
    t = np.linspace(-1, 1, 16)
    gx, gy = np.meshgrid(t, t)
    ramp = [gx + gy, gx - gy, np.abs(gx) - np.abs(gy), np.hypot(gx, gy) * 1.4 - 1][label]
    ramp = 1 / (1 + np.exp(-6 * (ramp * rng.choice([-1, 1]) + rng.uniform(-0.25, 0.25))))
    a, b = PALETTE[rng.permutation(3)[:2]] + rng.normal(0, 20, (2, 3))
    img = a * ramp[..., None] + b * (1 - ramp[..., None]) + rng.normal(0, 18, (16, 16, 3))
    return img.clip(0, 255).astype(np.uint8).transpose(2, 0, 1).copy(), label


class Stream(IterableDataset):
    def __init__(self, seed):
        self.seed = seed

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        while True:
            yield draw(rng)


class ByteNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.register_buffer("centre", torch.full((1, 3, 1, 1), 115.0))
        self.register_buffer("spread", torch.full((1, 3, 1, 1), 60.0))
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(24), nn.SiLU(),
        )
        self.head = nn.Linear(24 * 4 * 4, classes)

    def forward(self, x):
        x = (x.float() - self.centre) / self.spread
        return self.head(self.body(x).flatten(1))


def main():
    torch.manual_seed(40)
    endless = iter(DataLoader(Stream(seed=1001), batch_size=40))
    rng = np.random.default_rng(2002)
    held = [draw(rng) for _ in range(400)]
    xv = torch.from_numpy(np.stack([h[0] for h in held])).contiguous(memory_format=torch.channels_last)
    yv = torch.tensor([h[1] for h in held])

    net = ByteNet().to(memory_format=torch.channels_last)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    steps, warm = 160, 20
    lr = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda k: min((k + 1) / warm, max(0.02, (steps - k) / (steps - warm))))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    net.train()
    for step in range(steps):
        x, y = next(endless)
        x = x.contiguous(memory_format=torch.channels_last)
        opt.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        lr.step()
        if (step + 1) % 40 == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}")

    net.eval()
    with torch.no_grad():
        acc = (net(xv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
