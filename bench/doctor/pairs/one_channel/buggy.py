import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Small(nn.Module):
    def __init__(self, channels=1):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 5, stride=2)
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return self.fc(x.amax((2, 3)))


def tiles(n, seed):
    g = torch.Generator().manual_seed(99)
    kinds = torch.randn(10, 5, 5, generator=g)
    g.manual_seed(seed)
    y = torch.randint(0, 10, (n,), generator=g)
    x = torch.randn(n, 1, 15, 15, generator=g) * 0.3
    for i in range(n):
        r, c = (torch.randint(0, 6, (2,), generator=g) * 2).tolist()
        x[i, 0, r : r + 5, c : c + 5] += kinds[y[i]]
    return TensorDataset(x, y)


torch.manual_seed(0)
net = Small()
train, test = DataLoader(tiles(2500, 1), 50, shuffle=True), DataLoader(tiles(500, 2), 100)
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(8):
    for x, y in train:
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
net.eval()
with torch.no_grad():
    acc = sum((net(x).argmax(1) == y).sum().item() for x, y in test) / 500
print(f"accuracy: {acc:.4f}")
