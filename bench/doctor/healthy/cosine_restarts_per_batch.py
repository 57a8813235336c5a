import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from torch.utils.data import DataLoader, Dataset


class Spirals(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 4, (n,), generator=g)
        t = torch.linspace(0.3, 1, 40)
        self.x = torch.randn(n, 1, 18, 18, generator=g) * 0.15
        for i in range(n):
            turn = (1.0 if self.y[i] % 2 else -1.0) * (3.0 if self.y[i] < 2 else 6.5)
            a0 = torch.rand(1, generator=g) * 6.28
            rows = (9 + 8 * t * torch.sin(turn * t + a0)).long().clamp(0, 17)
            cols = (9 + 8 * t * torch.cos(turn * t + a0)).long().clamp(0, 17)
            self.x[i, 0, rows, cols] = 1.0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i] - 0.1, self.y[i]


torch.manual_seed(0)
train_loader = DataLoader(Spirals(2000, 0), batch_size=50, shuffle=True)
test_loader = DataLoader(Spirals(500, 1), batch_size=250)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(512, 64),
    nn.ReLU(),
    nn.Linear(64, 4),
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
iters = len(train_loader)
for epoch in range(6):
    net.train()
    for i, (x, y) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step(epoch + i / iters)
    print("epoch", epoch, loss.item())
net.eval()
with torch.no_grad():
    acc = sum((net(x).argmax(1) == y).sum().item() for x, y in test_loader) / 500
print("accuracy: %.4f" % acc)
