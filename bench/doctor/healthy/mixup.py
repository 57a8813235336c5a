import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def mixup(x, y, classes, alpha=0.3):
    lam = float(np.random.beta(alpha, alpha))
    index = torch.randperm(len(x))
    soft = F.one_hot(y, classes).float()
    return lam * x + (1 - lam) * x[index], lam * soft + (1 - lam) * soft[index]


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 9, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


np.random.seed(0)
torch.manual_seed(0)
protos = torch.randn(8, 3, 12, 12)
y = torch.randint(0, 8, (2400,))
x = protos[y] * 0.35 + torch.randn(2400, 3, 12, 12)
train = DataLoader(TensorDataset(x[:2000], y[:2000]), batch_size=50, shuffle=True)
val = DataLoader(TensorDataset(x[2000:], y[2000:]), batch_size=200)
model = Net(8)
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
for epoch in range(5):
    model.train()
    for xb, yb in train:
        xb, yb = mixup(xb, yb, 8)
        loss = F.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
with torch.no_grad():
    acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in val) / 400
print(f"accuracy: {acc:.4f}")
