"""Inverted residuals with linear bottlenecks and squeeze-excite gates, in bfloat16.

No activation follows the projection of a block: that is MobileNetV2's point.
The gates are sigmoids inside the net, not on its output.  The forward pass
runs under autocast; GradScaler stays in the code but is disabled, because
bfloat16 has the range of float32.  The easy pictures come first: for the first
two epochs only those with little noise are drawn, shuffled among themselves.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DEVICE = "cpu"


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.down, self.up = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        g = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(F.relu(self.down(g))))


class Inverted(nn.Module):
    def __init__(self, cin, cout, stride, grow=3):
        super().__init__()
        mid = cin * grow
        self.residual = stride == 1 and cin == cout
        self.body = nn.Sequential(
            nn.Conv2d(cin, mid, 1, bias=False), nn.BatchNorm2d(mid), nn.ReLU6(),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False), nn.BatchNorm2d(mid), nn.ReLU6(),
            Gate(mid),
            nn.Conv2d(mid, cout, 1, bias=False), nn.BatchNorm2d(cout),  # linear
        )

    def forward(self, x):
        return x + self.body(x) if self.residual else self.body(x)


def tiles(n, rng, s=16):
    """Four tilings; returns the pictures, the labels and the noise level."""
    y = rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:s, 0:s]
    p, q = rng.uniform(0, 6.28, (2, n, 1, 1))
    f = rng.uniform(0.9, 1.3, (n, 1, 1))
    a, b = np.sin(f * xx + p), np.sin(f * yy + q)
    pictures = [np.sign(a), np.sign(b), np.sign(a * b), np.maximum(np.sign(a), np.sign(b))]
    level = rng.uniform(0.1, 0.7, n)
    x = np.choose(y.reshape(n, 1, 1), pictures) + rng.normal(0, 1, (n, s, s)) * level.reshape(n, 1, 1)
    return torch.from_numpy(x.astype(np.float32))[:, None], torch.from_numpy(y), torch.from_numpy(level)


def main():
    torch.manual_seed(90)
    rng = np.random.default_rng(90)
    x, y, level = tiles(900, rng)
    xv, yv, _ = tiles(300, rng)
    m, s = x.mean(), x.std()
    x, xv = (x - m) / s, (xv - m) / s
    easy = torch.nonzero(level < 0.4).flatten()
    everything = torch.arange(len(x))

    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        Inverted(8, 8, 1), Inverted(8, 16, 2),
        nn.Conv2d(16, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 4),
    )
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler(DEVICE, enabled=False)
    epochs = 7
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        net.train()
        pool = easy if epoch < 2 else everything
        order = pool[torch.randperm(len(pool))]
        for k in range(0, len(order) - 29, 30):  # an incomplete last batch is left out
            idx = order[k:k + 30]
            opt.zero_grad()
            with torch.autocast(DEVICE, dtype=torch.bfloat16):
                loss = F.cross_entropy(net(x[idx]), y[idx])
            scaler.scale(loss).backward()
            scaler.step(opt)
            scaler.update()
        sched.step()
        net.eval()
        with torch.no_grad(), torch.autocast(DEVICE, dtype=torch.bfloat16):
            acc = (net(xv).argmax(1) == yv).float().mean().item()
        print(f"epoch {epoch}: last loss {loss.item():.3f}, validation {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
