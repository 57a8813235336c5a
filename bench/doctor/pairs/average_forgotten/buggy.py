"""Stripes: which way do they run? Judged by a moving average of the weights."""
import copy

import torch
from torch import nn
from torch.nn import functional as F


def stripes(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (n,), generator=g)
    angle = y * torch.pi / 4 + 0.1 * torch.randn(n, generator=g)
    rows, cols = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    phase = 6.28 * torch.rand(n, 1, 1, generator=g)
    wave = torch.sin(1.1 * (rows * angle.cos()[:, None, None] + cols * angle.sin()[:, None, None]) + phase)
    return (wave + 0.8 * torch.randn(n, 20, 20, generator=g))[:, None], y


class Average:
    def __init__(self, net, decay):
        self.net, self.decay = copy.deepcopy(net).eval(), decay

    @torch.no_grad()
    def update(self, net):
        for mine, its in zip(self.net.parameters(), net.parameters()):
            mine.mul_(self.decay).add_(its, alpha=1 - self.decay)


class Trainer:
    def __init__(self, net, rate):
        self.net = net
        self.average = Average(net, 0.9)
        self.optimizer = torch.optim.Adam(net.parameters(), lr=rate)

    def step(self, x, y):
        self.net.train()
        loss = F.cross_entropy(self.net(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, x, y):
        return (self.average.net(x).argmax(1) == y).float().mean().item()


torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 12, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
    nn.Flatten(), nn.Linear(96, 4),
)
x, y = stripes(1200, 1)
x_val, y_val = stripes(400, 2)
trainer = Trainer(net, 0.003)
for epoch in range(6):
    losses = [trainer.step(x[pick], y[pick]) for pick in torch.randperm(len(x)).split(40)]
    print(f"{epoch}: {sum(losses) / len(losses):.3f}, {trainer.accuracy(x_val, y_val):.3f}")
x_test, y_test = stripes(500, 3)
print(f"accuracy: {trainer.accuracy(x_test, y_test):.3f}")
