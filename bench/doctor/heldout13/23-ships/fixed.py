"""Ship types in SAR image chips.

The network is built from a few layers of our own; activations are learnt thresholds (as in sparse coding):
a unit passes what exceeds its channel's threshold, and activity has a small price in the loss.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import Parameter

SHIPS = ["tanker", "container", "fishing", "ferry"]


# ------------------------------------------------------------------ layers
class Conv(nn.Module):
    def __init__(self, cin, cout, k=3):
        super().__init__()
        self.weight = Parameter(torch.randn(cout, cin, k, k) * math.sqrt(2 / (cin * k * k)))
        self.pad = k // 2

    def forward(self, x):
        return F.conv2d(x, self.weight, padding=self.pad)


class Threshold(nn.Module):
    """max(x - theta, 0) with a threshold per channel."""

    def __init__(self, channels, theta=0.):
        super().__init__()
        self.theta = Parameter(torch.full((channels, 1, 1), theta))

    def forward(self, x):
        self.code = F.relu(x - self.theta)
        return self.code


class Halve(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)


class Dense(nn.Module):
    def __init__(self, nin, nout):
        super().__init__()
        self.weight = Parameter(torch.randn(nout, nin) * math.sqrt(1 / nin))
        self.bias = Parameter(torch.zeros(nout))

    def forward(self, x):
        return F.linear(x.flatten(1), self.weight, self.bias)


class Stack(nn.Sequential):
    @classmethod
    def build(cls, widths, side, classes):
        layers, cin = [], 1
        for w in widths:
            layers += [Conv(cin, w), Threshold(w), Halve()]
            cin, side = w, side // 2
        return cls(*layers, Dense(cin * side * side, classes))

    def activity(self):
        """L1 cost of the codes of the last forward pass."""
        return sum(m.code.abs().mean() for m in self if isinstance(m, Threshold))


# ------------------------------------------------------------------ chips
class Sea:
    def __init__(self, seed, side=32):
        self.rng, self.side = np.random.default_rng(seed), side

    def chip(self, ship):
        r, s = self.rng, self.side
        yy, xx = np.mgrid[:s, :s] - s / 2 + .5
        a = r.uniform(0, np.pi)
        cy, cx = r.uniform(-3, 3, 2)
        u = (xx - cx) * np.cos(a) + (yy - cy) * np.sin(a)
        v = (yy - cy) * np.cos(a) - (xx - cx) * np.sin(a)
        long, beam = [(11, 2.2), (11, 2.4), (4.5, 1.6), (7.5, 3.)][ship]
        long, beam = long * r.uniform(.85, 1.15), beam * r.uniform(.85, 1.15)
        hull = ((np.abs(u) < long) & (np.abs(v) < beam * np.sqrt(np.clip(1 - (u / long) ** 4, 0, 1)))).astype(float)
        sigma = np.full((s, s), r.uniform(.15, .35))
        sigma += hull * r.uniform(.9, 1.4)
        if ship == 0:                                        # bridge at the stern, pipes along the deck
            sigma += 4 * np.exp(-((u - .8 * long) ** 2 + v ** 2) / 3) + .8 * hull * (np.abs(v) < .6)
        elif ship == 1:                                      # stacks of boxes
            sigma += 2.6 * hull * (np.sin(u * 2 * np.pi / 4.4 + r.uniform(0, 6)) > .2)
        elif ship == 2:
            sigma += 3 * np.exp(-((u - 1) ** 2 + v ** 2) / 2)
        else:
            sigma += 1.5 * hull * (np.abs(v) > .55 * beam)   # side walls
        speckle = gaussian_filter(r.gamma(3, 1 / 3, (s, s)), .45)
        return np.log(sigma * speckle + .02)

    def draw(self, n):
        y = self.rng.integers(len(SHIPS), size=n)
        x = np.stack([self.chip(k) for k in y])[:, None]
        return torch.from_numpy(x).float(), torch.from_numpy(y)


# ------------------------------------------------------------------ training
def epochs(net, x, y, n, batch=50, lr=2e-3, price=1e-2):
    opt = torch.optim.Adam(net.parameters(), lr)
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1., .1, total_iters=n)
    for _ in range(n):
        net.train()
        losses = []
        for i in torch.randperm(len(x)).split(batch):
            xb = x[i]
            if torch.rand(1).item() < .5:
                xb = xb.flip(2)
            if torch.rand(1).item() < .5:
                xb = xb.transpose(2, 3)
            opt.zero_grad()
            loss = F.cross_entropy(net(xb), y[i]) + price * net.activity()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        sched.step()
        yield sum(losses) / len(losses)


def rate(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).double().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(1)
    sea = Sea(seed=23)
    (x, y), (xv, yv), (xt, yt) = sea.draw(1400), sea.draw(300), sea.draw(500)
    m, s = x.mean(), x.std()
    x, xv, xt = (x - m) / s, (xv - m) / s, (xt - m) / s
    net = Stack.build((16, 24, 32), 32, len(SHIPS))
    for k, loss in enumerate(epochs(net, x, y, 9), 1):
        print(f"{k}: training loss {loss:.3f}, validation {rate(net, xv, yv):.3f}")
    print(f"test rate {rate(net, xt, yt):.4f}")
