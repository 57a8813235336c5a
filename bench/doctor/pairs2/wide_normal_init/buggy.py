# hand-written layers; no nn.Sequential
import math

import torch
import torch.nn.functional as F

DEVICE = torch.device("cpu")


class Conv:
    def __init__(self, cin, cout, k):
        std = 1.0
        self.w = torch.nn.Parameter(torch.randn(cout, cin, k, k, device=DEVICE) * std)
        self.b = torch.nn.Parameter(torch.zeros(cout, device=DEVICE))
        self.pad = k // 2

    def __call__(self, x):
        return F.conv2d(x, self.w, self.b, padding=self.pad)

    def params(self):
        return [self.w, self.b]


class Net:
    def __init__(self):
        self.layers = [Conv(1, 16, 3), Conv(16, 32, 3), Conv(32, 32, 3)]
        self.out = Conv(32 * 9, 6, 1)

    def __call__(self, x):
        for layer in self.layers:
            x = F.max_pool2d(F.relu(layer(x)), 2)
        return self.out(x.reshape(len(x), -1, 1, 1)).flatten(1)

    def params(self):
        return [p for layer in self.layers + [self.out] for p in layer.params()]


def sample(n):
    """Six checker and stripe weaves under strong noise."""
    y = torch.randint(0, 6, (n,))
    i = torch.arange(24).view(1, 24, 1) + torch.randint(0, 12, (n, 1, 1))
    j = torch.arange(24).view(1, 1, 24) + torch.randint(0, 12, (n, 1, 1))
    zero = torch.zeros(n, 24, 24, dtype=torch.long)
    weaves = torch.stack([
        (i // 2 + j // 2) % 2, (i // 3 + j // 3) % 2, (i // 3 + zero) % 2, (j // 3 + zero) % 2,
        ((i + j) // 3) % 2, ((i - j) // 3) % 2,
    ], 1)
    x = weaves[torch.arange(n), y].float() * 2 - 1
    return (x + 1.7 * torch.randn(n, 24, 24)).unsqueeze(1) / 2, y


torch.manual_seed(6)
xs, ys = sample(1500)
xt, yt = sample(500)
net = Net()
opt = torch.optim.SGD(net.params(), lr=0.005, momentum=0.9)
for epoch in range(8):
    s = 0.0
    for idx in torch.randperm(1500).split(30):
        loss = F.cross_entropy(net(xs[idx]), ys[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(idx)
    print("epoch %d loss %.3f" % (epoch, s / 1500))
with torch.no_grad():
    print("accuracy: %.3f" % (net(xt).argmax(1) == yt).float().mean())
