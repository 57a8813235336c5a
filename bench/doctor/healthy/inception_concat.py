import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Inception(nn.Module):
    def __init__(self, cin):
        super().__init__()
        self.b1 = nn.Conv2d(cin, 8, 1)
        self.b3 = nn.Sequential(nn.Conv2d(cin, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.b5 = nn.Sequential(nn.Conv2d(cin, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 5, padding=2))
        self.bp = nn.Conv2d(cin, 8, 1)

    def forward(self, x):
        pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        return F.relu(torch.cat([self.b1(x), self.b3(x), self.b5(x), self.bp(pooled)], 1))


model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    Inception(8),
    nn.MaxPool2d(2),
    Inception(32),
    nn.AdaptiveAvgPool2d(4),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Linear(512, 4),
)


def corners(n):
    y = torch.randint(0, 4, (n,))
    x = torch.randn(n, 1, 14, 14) * 0.6
    for k in range(4):
        x[y == k, 0, (k // 2) * 7 : (k // 2) * 7 + 7, (k % 2) * 7 : (k % 2) * 7 + 7] += 0.5
    return TensorDataset(x, y)


torch.manual_seed(0)
train, test = DataLoader(corners(1200), 40, shuffle=True), DataLoader(corners(400), 100)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(3):
    model.train()
    for x, y in train:
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
model.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (sum((model(x).argmax(1) == y).sum().item() for x, y in test) / 400))
