"""Land cover from small four-band satellite chips (blue, green, red, near infrared)."""
import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)

COVER = ("water", "forest", "crops", "town", "bare soil", "orchard")
#            blue  green red   nir
SPECTRUM = {"water": (.30, .26, .20, .12), "forest": (.18, .27, .19, .46), "crops": (.21, .31, .23, .52),
            "town": (.36, .37, .38, .40), "bare soil": (.30, .35, .42, .46), "orchard": (.21, .29, .23, .46)}
SIDE = 24


class Chips:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def texture(self, cover):
        g, (y, x) = self.rng, np.mgrid[0:SIDE, 0:SIDE].astype(float)
        a = g.uniform(0, np.pi)
        p, q = x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)
        if cover == "crops":
            return np.sin(2 * np.pi * p / g.uniform(3.2, 5) + g.uniform(0, 6))
        if cover == "orchard":
            d = g.uniform(3.8, 5.5)
            return 1.2 * np.cos(2 * np.pi * p / d + g.uniform(0, 6)) * np.cos(2 * np.pi * q / d + g.uniform(0, 6))
        if cover == "town":
            d = g.uniform(5, 8)
            blocks = g.normal(0, 1, (60, 60))[(p // d).astype(int) + 30, (q // d).astype(int) + 30]
            return blocks - 1.2 * (np.minimum(p % d, q % d) < 1)
        t = gaussian_filter(g.normal(0, 1, (SIDE, SIDE)), {"forest": .8, "water": 3, "bare soil": 2}[cover])
        return t / t.std() * {"forest": 1, "water": .4, "bare soil": .6}[cover]

    def chip(self, cover):
        g = self.rng
        base = np.array(SPECTRUM[cover])[:, None, None] * g.uniform(.8, 1.2) + g.normal(0, .03, (4, 1, 1))
        img = base + .08 * self.texture(cover) * g.uniform(.6, 1.2, (4, 1, 1))
        haze = g.uniform(0, .15) * np.array([1, .8, .6, .2])[:, None, None]
        return img + haze + g.normal(0, .022, img.shape)

    def draw(self, n):
        y = self.rng.integers(0, len(COVER), n)
        x = np.stack([self.chip(COVER[k]) for k in y])
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


class Conv(nn.Module):
    """Convolution with He initialisation and zero bias."""

    def __init__(self, c_in, c_out, k=3, stride=1):
        super().__init__()
        self.stride, self.pad = stride, k // 2
        self.weight = nn.Parameter(torch.empty(c_out, c_in, k, k))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.reset()

    def reset(self):
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=math.sqrt(2 / fan_in))

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.pad)


class Dense(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) * math.sqrt(1 / n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class PlainNet(nn.Module):
    """No normalisation layers: the chips are later classified on board, in fixed point."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = Conv(4, 16), Conv(16, 24, stride=2)
        self.c3, self.c4 = Conv(24, 32), Conv(32, 32, stride=2)
        self.c5 = Conv(32, 48)
        self.out = Dense(48, len(COVER))

    def forward(self, x):
        for conv in (self.c1, self.c2, self.c3, self.c4, self.c5):
            x = F.relu(conv(x))
        return self.out(x.mean((-2, -1)))


def rate_at(step, steps, peak, warmup=30):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * .5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        logits = torch.cat([net(part) for part in x.split(120)])
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


torch.manual_seed(19)
chips = Chips(19)
x_train, y_train = chips.draw(1500)
x_val, y_val = chips.draw(300)
x_test, y_test = chips.draw(480)
band_mean = x_train.mean((0, 2, 3), keepdim=True)
band_std = x_train.std((0, 2, 3), keepdim=True)
x_train, x_val, x_test = ((x - band_mean) / band_std for x in (x_train, x_val, x_test))

net = PlainNet()
sgd = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
epochs, batch, step = 9, 30, 0
steps = epochs * len(x_train) // batch
for epoch in range(epochs):
    net.train()
    for idx in torch.randperm(len(x_train)).split(batch):
        for group in sgd.param_groups:
            group["lr"] = rate_at(step, steps, 0.02)
        sgd.zero_grad()
        F.cross_entropy(net(x_train[idx]), y_train[idx]).backward()
        sgd.step()
        step += 1
    print("epoch %2d: validation loss %.3f, accuracy %.3f" % (epoch + 1, *evaluate(net, x_val, y_val)))
print("test: loss %.3f, accuracy %.4f" % evaluate(net, x_test, y_test))
