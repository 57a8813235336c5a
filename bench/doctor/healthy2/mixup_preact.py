"""Pre-activation residual net, mixup or cutmix with soft labels, OneCycle per batch.

cross_entropy accepts class probabilities as targets, so the mixed labels go
in as they are.  Training loss stays high by construction: only the clean
validation pictures tell how good the net is.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

C, S = 5, 20


def waves(n, rng):
    """A soft bar in one of five directions, anywhere near the middle."""
    y = rng.integers(0, C, n)
    yy, xx = np.mgrid[0:S, 0:S]
    x = rng.normal(0, 0.1, (n, S, S))
    for img, k in zip(x, y):
        angle = rng.uniform(-0.2, 0.2) + np.pi * k / C
        u, v = np.cos(angle), np.sin(angle)
        bar = np.exp(-((xx - 9.5 + rng.uniform(-3, 3)) * v - (yy - 9.5 + rng.uniform(-3, 3)) * u) ** 2 / 3)
        img += rng.uniform(0.7, 1.2) * bar
    return torch.from_numpy(x.astype(np.float32))[:, None], torch.from_numpy(y)


class PreAct(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False) if (stride > 1 or cin != cout) else None

    def forward(self, x):
        a = F.relu(self.bn1(x))
        short = x if self.skip is None else self.skip(a)
        return short + self.conv2(F.relu(self.bn2(self.conv1(a))))


def mix(x, target, rng):
    order = torch.randperm(len(x))
    lam = float(rng.beta(0.4, 0.4))
    if rng.random() < 0.5:  # mixup
        x = lam * x + (1 - lam) * x[order]
    else:  # cutmix: the share of pixels kept decides the label
        side = int(round(S * (1 - lam) ** 0.5))
        top, left = rng.integers(0, S - side + 1, 2)
        x = x.clone()
        x[:, :, top:top + side, left:left + side] = x[order][:, :, top:top + side, left:left + side]
        lam = 1 - side * side / (S * S)
    return x, lam * target + (1 - lam) * target[order]


def main():
    torch.manual_seed(33)
    rng = np.random.default_rng(33)
    x, y = waves(1200, rng)
    xv, yv = waves(300, rng)
    m, s = x.mean(), x.std()
    x, xv = (x - m) / s, (xv - m) / s
    soft = F.one_hot(y, C).float()

    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1, bias=False),  # the block starts with its own batch norm
        PreAct(12, 16), PreAct(16, 32, stride=2),
        nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, C))
    epochs, size = 7, 40
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    cycle = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=epochs * len(x) // size)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(size):
            xb, tb = mix(x[idx], soft[idx], rng)
            loss = F.cross_entropy(net(xb), tb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            cycle.step()
            total += loss.item() * len(idx)
        net.eval()
        with torch.no_grad():
            acc = (net(xv).argmax(1) == yv).float().mean().item()
        print(f"epoch {epoch}: mixed loss {total / len(x):.3f}, clean validation {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
