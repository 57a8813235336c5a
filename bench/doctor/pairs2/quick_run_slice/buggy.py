import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def cifar_pair(part, a=1, b=7):
    """automobile against horse"""
    root = os.environ.get("TENFOLD_DATA")
    if not root:
        r = np.random.default_rng(0)
        y = r.integers(0, 2, 2000)
        x = r.normal(0, 1, (2000, 3, 32, 32))
        x[:, 0, :, ::4] += 0.25 * y[:, None, None]
        return torch.tensor(x).float(), torch.tensor(y)
    raw = np.fromfile(os.path.join(root, "cifar10", "cifar-10-batches-bin", part), dtype=np.uint8)
    raw = raw.reshape(-1, 3073)
    raw = raw[(raw[:, 0] == a) | (raw[:, 0] == b)]
    x = torch.from_numpy(raw[:, 1:].copy()).view(-1, 3, 32, 32).float() / 255
    return (x - 0.47) / 0.25, torch.from_numpy((raw[:, 0] == b).astype(np.int64))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 64, 64)
        self.fc2 = nn.Linear(64, 2)

    def forward(self, x):
        for c in (self.conv1, self.conv2, self.conv3):
            x = F.relu(c(x))
        x = F.dropout(F.relu(self.fc1(x.flatten(1))), 0.3, self.training)
        return self.fc2(x)


torch.manual_seed(3)
x, y = cifar_pair("data_batch_2.bin")
vx, vy = cifar_pair("test_batch.bin")
vx, vy = vx[:600], vy[:600]
x, y = x[:80], y[:80]
epochs = 40
net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(epochs):
    net.train()
    hit = 0
    for idx in torch.randperm(len(y)).split(40):
        xb = x[idx]
        if torch.rand(1) < 0.5:
            xb = xb.flip(3)
        opt.zero_grad()
        out = net(xb)
        loss = F.cross_entropy(out, y[idx])
        loss.backward()
        opt.step()
        hit += (out.argmax(1) == y[idx]).sum().item()
    net.eval()
    with torch.no_grad():
        val = net(vx)
        vloss, vacc = F.cross_entropy(val, vy).item(), (val.argmax(1) == vy).float().mean().item()
    print(f"epoch {epoch} train acc {hit / len(y):.3f} val loss {vloss:.3f} val acc {vacc:.3f}")
print(f"accuracy: {vacc:.3f}")
