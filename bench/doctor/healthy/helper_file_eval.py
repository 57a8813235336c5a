import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.evaluation import accuracy

torch.manual_seed(0)
p = torch.randn(4, 1, 12, 12)
y = torch.randint(0, 4, (1400,))
x = 0.5 * p[y] + torch.randn(1400, 1, 12, 12)
train_loader = DataLoader(TensorDataset(x[:1100], y[:1100]), batch_size=50, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1100:], y[1100:]), batch_size=100)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(400, 4),
)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(4):
    net.train()
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
    print(epoch, loss.item(), accuracy(net, val_loader))
print(f"accuracy: {accuracy(net, val_loader):.4f}")
