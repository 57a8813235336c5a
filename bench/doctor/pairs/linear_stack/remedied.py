import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class XorNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 6, stride=6)
        self.conv2 = nn.Conv2d(width, width, 2)
        self.fc1 = nn.Linear(width, 24)
        self.fc2 = nn.Linear(24, 4)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = x.flatten(1)
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (n, 2, 2), generator=g) * 2 - 1
    x = signs.float().repeat_interleave(6, 1).repeat_interleave(6, 2)[:, None]
    x = x * 0.8 + torch.randn(n, 1, 12, 12, generator=g)
    y = (signs[:, 0, 0] != signs[:, 1, 1]).long() * 2 + (signs[:, 0, 1] != signs[:, 1, 0]).long()
    return TensorDataset(x, y)


torch.manual_seed(0)
train_loader = DataLoader(make(3000, 0), batch_size=50, shuffle=True)
test_loader = DataLoader(make(600, 1), batch_size=200)
model = XorNet()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(6):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print("epoch %d: %.3f" % (epoch, loss.item()))
model.eval()
with torch.no_grad():
    acc = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader) / 600
print("accuracy: %.4f" % acc)
