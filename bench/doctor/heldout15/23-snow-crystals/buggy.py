"""Residual network for snow crystal photographs: plate, sector, stellar, dendrite, column, needle."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

HABITS = ('plate', 'sector', 'stellar', 'dendrite', 'column', 'needle')


def crystal(habit, rng, s=24):
    yy, xx = np.mgrid[:s, :s] - (s - 1) / 2
    yy, xx = yy + rng.uniform(-3, 3), xx + rng.uniform(-3, 3)
    rot = rng.uniform(0, 2 * math.pi)
    u, v = xx * math.cos(rot) + yy * math.sin(rot), yy * math.cos(rot) - xx * math.sin(rot)
    r, a = np.hypot(u, v), np.arctan2(v, u)
    R = rng.uniform(6.0, 9.0)
    hexa = R * math.cos(math.pi / 6) / np.cos((a + math.pi / 6) % (math.pi / 3) - math.pi / 6)
    arm = np.abs(np.sin(3 * a)) * r / 3
    if habit == 'plate':
        ice = r < hexa * 0.9
    elif habit == 'sector':
        ice = (r < hexa) & ((arm < 1.6) | (r < R * 0.35))
    elif habit == 'stellar':
        ice = (r < R * 1.1) & (arm < 0.8)
    elif habit == 'dendrite':
        ice = (r < R * 1.1) & ((arm < 0.7) | ((np.sin(r * 2.1) > 0.3) & (arm < 2.0)))
    elif habit == 'column':
        ice = (np.abs(u) < R * 0.9) & (np.abs(v) < R * rng.uniform(0.3, 0.45))
    else:
        ice = (np.abs(u) < R * 1.2) & (np.abs(v) < R * rng.uniform(0.08, 0.16))
    img = rng.uniform(0.1, 0.35) + rng.uniform(0.3, 0.5) * gaussian_filter(ice.astype(float), rng.uniform(0.5, 0.9))
    img += 0.15 * rng.uniform(-1, 1) * xx / s + 0.15 * rng.uniform(-1, 1) * yy / s
    return img + rng.normal(0, 0.11, img.shape)


def crystals(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(HABITS), n)
    x = np.stack([crystal(HABITS[k], rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.down = None
        if stride != 1 or cin != cout:
            self.down = nn.Sequential(nn.AvgPool2d(stride, ceil_mode=True), nn.Conv2d(cin, cout, 1, bias=False),
                                      nn.BatchNorm2d(cout))

    def forward(self, x):
        skip = x if self.down is None else self.down(x)
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + skip)


class ResNet(nn.Module):
    def __init__(self, widths=(16, 24, 48), depth=1, classes=len(HABITS)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        blocks, cin = [], widths[0]
        for i, w in enumerate(widths):
            for j in range(depth):
                blocks.append(BasicBlock(cin, w, 2 if i > 0 and j == 0 else 1))
                cin = w
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(cin, classes)
        self.init_weights()

    def init_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu')
        # every block starts as its shortcut (Goyal et al. 2017, section 5.1)
        for block in self.blocks:
            for bn in (block.bn1, block.bn2):
                nn.init.zeros_(bn.weight)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.fc(x.mean(dim=(2, 3)))


def d4(x):
    """Random symmetry of the square for the whole batch."""
    x = torch.rot90(x, int(torch.randint(4, ())), (2, 3))
    return x.flip(3) if torch.rand(()) < 0.5 else x


def main():
    torch.manual_seed(12)
    x, y = crystals(1800, seed=0)
    xt, yt = crystals(600, seed=1)
    mu, sd = x.mean(), x.std()
    x, xt = (x - mu) / sd, (xt - mu) / sd

    net = ResNet()
    epochs, bs = 10, 60
    steps = epochs * math.ceil(len(x) / bs)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.1, total_steps=steps, pct_start=0.2)

    for ep in range(epochs):
        net.train()
        tot = 0.
        for b in torch.randperm(len(x)).split(bs):
            loss = F.cross_entropy(net(d4(x[b])), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            tot += loss.item() * len(b)
        print(f'epoch {ep + 1:2d}  loss {tot / len(x):.4f}')

    net.eval()
    with torch.no_grad():
        acc = (net(xt).argmax(1) == yt).float().mean().item()
    print(f'test accuracy {acc:.4f}')


if __name__ == '__main__':
    main()
