import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class DropNet(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(p)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(16 * 16, 6)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool(torch.relu(self.bn2(self.drop(self.conv2(x)))))
        return self.fc(x.flatten(1))


class EarlyStopper:
    def __init__(self, patience):
        self.patience, self.best, self.bad = patience, float("inf"), 0

    def stop(self, value):
        self.bad = 0 if value < self.best else self.bad + 1
        self.best = min(self.best, value)
        return self.bad >= self.patience


def data(n):
    y = torch.randint(0, 6, (n,))
    k = torch.arange(16.0)
    x = torch.sin(k[None, None, :] * (0.3 + 0.25 * y[:, None, None]) + torch.rand(n, 1, 1) * 6.28).expand(n, 16, 16)
    return (x * 0.7 + torch.randn(n, 16, 16))[:, None], y


torch.manual_seed(0)
train, val, test = (TensorDataset(*data(n)) for n in (2000, 400, 400))
model = DropNet()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
ce = nn.CrossEntropyLoss()
stopper = EarlyStopper(3)
for epoch in range(6):
    model.train()
    for x, y in DataLoader(train, 50, shuffle=True):
        opt.zero_grad()
        ce(model(x), y).backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        val_loss = sum(ce(model(x), y).item() for x, y in DataLoader(val, 100))
    print("epoch", epoch, "val loss", val_loss / 4)
    if stopper.stop(val_loss):
        break
with torch.no_grad():
    acc = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 100)) / 400
print(f"accuracy: {acc:.4f}")
