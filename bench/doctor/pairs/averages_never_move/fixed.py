# Crosses, rings and squares.
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

rng = np.random.default_rng(8)
torch.manual_seed(8)


def shape(kind):
    y, x = np.mgrid[:20, :20] - rng.uniform(8, 11, (2, 1, 1))
    r = rng.uniform(4, 6)
    if kind == 0:
        mask = (np.minimum(abs(x), abs(y)) < 1.2) & (np.maximum(abs(x), abs(y)) < r)
    elif kind == 1:
        mask = abs(np.hypot(x, y) - r) < 1.2
    else:
        mask = abs(np.maximum(abs(x), abs(y)) - r) < 1.2
    return 3 * mask * rng.uniform(0.5, 1.5) + rng.normal(2, 1.2, (20, 20))


def make(n):
    kinds = rng.integers(0, 3, n)
    return torch.tensor(np.stack([shape(k) for k in kinds])[:, None], dtype=torch.float32), torch.tensor(kinds)


def conv_bn(cin, cout, bn_momentum=0.1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout, momentum=bn_momentum), nn.ReLU()
    )


net = nn.Sequential(
    conv_bn(1, 12), nn.MaxPool2d(2), conv_bn(12, 24), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24 * 25, 3)
)
(x, y), (x_test, y_test) = make(1200), make(500)
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(3):
    net.train()
    for pick in torch.randperm(len(x)).split(8):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[pick]), y[pick])
        loss.backward()
        optimizer.step()
    print(epoch, round(loss.item(), 3))
net.eval()
with torch.no_grad():
    print(f"accuracy: {(net(x_test).argmax(1) == y_test).float().mean().item():.3f}")
