import torch
import torch.nn as nn
from torch.utils.data import DataLoader, IterableDataset


class Endless(IterableDataset):
    """Draws a fresh picture each time; `count` pictures an epoch."""

    def __init__(self, count, seed):
        self.count = count
        self.g = torch.Generator().manual_seed(seed)

    def __iter__(self):
        for _ in range(self.count):
            k = int(torch.randint(0, 4, (1,), generator=self.g))
            x = torch.randn(1, 12, 12, generator=self.g) * 0.6
            x[0, 3 * k : 3 * k + 3] += 0.8
            yield x, k


torch.manual_seed(0)
train, test = DataLoader(Endless(1500, 0), batch_size=30), DataLoader(Endless(400, 1), batch_size=100)
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 4))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(3):
    net.train()
    for x, y in train:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
net.eval()
correct = total = 0
with torch.no_grad():
    for x, y in test:
        correct += (net(x).argmax(1) == y).sum().item()
        total += len(y)
print("accuracy: %.4f" % (correct / total))
