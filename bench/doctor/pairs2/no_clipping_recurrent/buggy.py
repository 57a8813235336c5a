import math

import torch
import torch.nn as nn


class RecurrentConv(nn.Module):
    """The same 3x3 convolution applied ten times, a poor man's ConvRNN for contour tracing."""

    def __init__(self, width=12, steps=10):
        super().__init__()
        self.inp = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.rec = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Linear(width * 4, 3)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.steps = steps
        nn.init.normal_(self.rec.weight, std=math.sqrt(2.0 / (width * 9)))

    def forward(self, x):
        drive = self.inp(x)
        h = torch.relu(drive)
        for _ in range(self.steps):
            h = torch.relu(self.rec(h) + drive)
        return self.out(self.pool(h).flatten(1))


def contour(n):
    """Open arc, closed ring or bar."""
    y = torch.randint(0, 3, (n,))
    side = torch.linspace(-1, 1, 16)
    v, u = torch.meshgrid(side, side, indexing="ij")
    cy, cx = (torch.rand(2, n, 1, 1) - 0.5) * 0.6
    r = ((u - cx) ** 2 + (v - cy) ** 2).sqrt()
    ring = torch.exp(-((r - 0.45) ** 2) / 0.01)
    arc = ring * (v > cy).float()
    bar = torch.exp(-((v - cy) ** 2) / 0.01) * ((u - cx).abs() < 0.5)
    x = torch.stack([arc, ring, bar], 1)[torch.arange(n), y]
    return (x + 0.2 * torch.randn(n, 16, 16)).unsqueeze(1), y


torch.manual_seed(2)
x, y = contour(1200)
tx, ty = contour(400)
net = RecurrentConv()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(8):
    net.train()
    for idx in torch.randperm(len(y)).split(40):
        loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())
net.eval()
with torch.no_grad():
    print("accuracy: %.3f" % (net(tx).argmax(1) == ty).float().mean())
