import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def smooth(y, n, eps=0.1):
    return F.one_hot(y, n).float() * (1 - eps) + eps / n


class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 16, 3)
        self.fc = nn.Linear(16 * 4, n)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


torch.manual_seed(0)
N = 7
protos = torch.randn(N, 1, 14, 14)
y = torch.randint(0, N, (2400,))
x = protos[y] * 0.5 + torch.randn(2400, 1, 14, 14)
train = DataLoader(TensorDataset(x[:2000], y[:2000]), batch_size=40, shuffle=True)
test = DataLoader(TensorDataset(x[2000:], y[2000:]), batch_size=100)
net = Net(N)
criterion = nn.KLDivLoss(reduction="batchmean")
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(5):
    net.train()
    for xb, yb in train:
        optimizer.zero_grad()
        loss = criterion(F.log_softmax(net(xb), dim=1), smooth(yb, N))
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
net.eval()
with torch.no_grad():
    acc = sum((net(xb).argmax(1) == yb).sum().item() for xb, yb in test) / 400
print(f"accuracy: {acc:.4f}")
