import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def cifar(part, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part)
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        return torch.from_numpy(a[:, 1:].reshape(n, 3, 32, 32).astype(np.float32)), torch.from_numpy(
            a[:, 0].astype(np.int64)
        )
    rng = np.random.RandomState(part)
    y = rng.randint(0, 10, n)
    x = np.clip(rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None], 0, 255).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class GNBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, cout)

    def forward(self, x):
        return F.silu(self.norm(self.conv(x)))


torch.manual_seed(0)
(x, y), (xv, yv) = cifar(2, 2500), cifar(3, 800)
mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
x, xv = (x - mean) / std, (xv - mean) / std
net = nn.Sequential(GNBlock(3, 16), GNBlock(16, 32), GNBlock(32, 32), nn.Flatten(), nn.Linear(512, 10))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.0)
for epoch in range(5):
    for i in torch.randperm(2500).split(50):
        opt.zero_grad()
        loss = F.cross_entropy(net(x[i]), y[i])
        loss.backward()
        opt.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(xv).argmax(1) == yv).float().mean().item())
