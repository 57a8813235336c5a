import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def moons(n, seed):
    """Crescents open to one of four sides, on a 16x16 grid."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, np.pi, 60)
    data = np.zeros((n, 1 + 256), dtype=np.float32)
    for row in data:
        k = rng.integers(4)
        ang = t + k * np.pi / 2
        r = rng.uniform(3.5, 6)
        cy, cx = rng.uniform(7, 8, 2)
        img = rng.normal(0, 0.2, (16, 16))
        img[np.clip(cy + r * np.sin(ang), 0, 15).astype(int), np.clip(cx + r * np.cos(ang), 0, 15).astype(int)] += 1
        row[0], row[1:] = k, img.ravel()
    return data


def split_xy(table):
    table = torch.from_numpy(table)
    return table[:, 1:].reshape(-1, 1, 16, 16), table[:, 0].long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 16, 3, padding=1)
        self.c = nn.Linear(256, 4)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.a(x)), 2)
        x = F.max_pool2d(torch.relu(self.b(x)), 2)
        return self.c(x.flatten(1))


torch.manual_seed(9)
xtr, ytr = split_xy(moons(1200, 0))
xte, yte = split_xy(moons(400, 1))
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
for epoch in range(4):
    for idx in torch.randperm(1200).split(30):
        opt.zero_grad()
        loss = F.cross_entropy(net(xtr[idx]), ytr[idx])
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss:.3f}")
with torch.inference_mode():
    print("accuracy: {:.4f}".format((net(xte).argmax(1) == yte).float().mean().item()))
