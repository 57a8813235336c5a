import math

import torch
import torch.nn as nn
import torch.nn.functional as F

EPOCHS = 8
BATCH = 40


def spirals(n, seed):
    """Spiral arms: handedness and number of arms make six classes."""
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 6, (n,), generator=g)
    line = torch.linspace(-1, 1, 24)
    yy, xx = torch.meshgrid(line, line, indexing="ij")
    r, t = torch.sqrt(xx ** 2 + yy ** 2), torch.atan2(yy, xx)
    arms = (label % 3 + 1).float().view(-1, 1, 1)
    hand = (1 - 2 * (label // 3)).float().view(-1, 1, 1)
    x = torch.sin(arms * t + hand * 6 * r + 2 * math.pi * torch.rand(n, 1, 1, generator=g))
    return (x + 0.7 * torch.randn(x.shape, generator=g)).unsqueeze(1), label


class SpiralNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(32 * 36, 64)
        self.fc2 = nn.Linear(64, 6)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


torch.manual_seed(1)
x, y = spirals(1500, 1)
net = SpiralNet()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.8)
for epoch in range(EPOCHS):
    net.train()
    tot = 0.0
    for idx in torch.randperm(len(y)).split(BATCH):
        if len(idx) < BATCH:
            break
        opt.zero_grad()
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        opt.step()
        tot += loss.item()
    sched.step()
    print(f"{epoch:3d} loss {tot / (len(y) // BATCH):.3f} lr {opt.param_groups[0]['lr']:.2g}")
net.eval()
tx, ty = spirals(600, 2)
with torch.no_grad():
    print(f"accuracy: {(net(tx).argmax(1) == ty).float().mean():.3f}")
