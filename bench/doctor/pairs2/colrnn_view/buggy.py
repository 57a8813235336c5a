"""Reads a row of coloured bars from left to right: conv features, then a GRU over the columns (CRNN style)."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def make(n):
    images = 0.2 * torch.rand(n, 3, 16, 32)
    labels = torch.randint(0, len(ORDERS), (n,))
    for i in range(n):
        x = int(torch.randint(0, 5, (1,)))
        for colour in ORDERS[labels[i]]:
            w = int(torch.randint(4, 8, (1,)))
            top = int(torch.randint(0, 6, (1,)))
            images[i, colour, top:top + 9, x:x + w] += 0.7
            x += w + 1
    return (images - 0.3) / 0.3, labels


class ColumnReader(nn.Module):
    def __init__(self, n_classes, hidden=48):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.rnn = nn.GRU(24 * 4, hidden)
        self.out = nn.Linear(hidden, n_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), (2, 1))
        b, c, h, w = x.shape
        seq = x.view(w, b, c * h)
        y, _ = self.rnn(seq)
        return self.out(y[-1])


train_set, test_set = TensorDataset(*make(1500)), TensorDataset(*make(500))
train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
test_loader = DataLoader(test_set, batch_size=100)
net = ColumnReader(len(ORDERS))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(8):
    net.train()
    running = 0.0
    for x, y in train_loader:
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        running += loss.item() * len(y)
    print(f"epoch {epoch + 1}: loss {running / len(train_set):.3f}")

net.eval()
with torch.no_grad():
    hits = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader)
print(f"accuracy: {hits / len(test_set):.3f}")
