import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Residual(nn.Module):
    def __init__(self, c, scale):
        super().__init__()
        self.a = nn.Conv2d(c, c, 3, padding=1)
        self.b = nn.Conv2d(c, c, 3, padding=1)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * self.b(F.relu(self.a(x)))


class Net(nn.Module):
    def __init__(self, blocks=6, c=12, scale=0.3):
        super().__init__()
        self.stem = nn.Conv2d(3, c, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(Residual(c, scale) for _ in range(blocks)))
        self.fc = nn.Linear(c * 36, 5)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).flatten(1))


torch.manual_seed(0)
centres = torch.randn(5, 3, 12, 12)
y = torch.randint(0, 5, (1500,))
x = 0.35 * centres[y] + torch.randn(1500, 3, 12, 12)
train_loader = DataLoader(TensorDataset(x[:1200], y[:1200]), 40, shuffle=True)
test_loader = DataLoader(TensorDataset(x[1200:], y[1200:]), 100)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for epoch in range(5):
    for xb, yb in train_loader:
        loss = F.cross_entropy(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, "%.4f" % loss.item())
model.eval()
with torch.no_grad():
    acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in test_loader) / 300
print("accuracy: %.4f" % acc)
