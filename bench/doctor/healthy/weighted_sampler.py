import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

torch.manual_seed(0)


def defects(counts):
    y = torch.cat([torch.full((n,), k) for k, n in enumerate(counts)])
    x = torch.randn(len(y), 1, 14, 14) * 0.6
    x[y == 1, :, 4:6] += 0.8
    x[y == 2, :, :, 4:6] += 0.8
    return TensorDataset(x, y)


train_set, test_set = defects([1000, 100, 100]), defects([100, 100, 100])
labels = train_set.tensors[1]
sample_weight = 1.0 / labels.bincount()[labels].float()
loader = DataLoader(train_set, batch_size=40, sampler=WeightedRandomSampler(sample_weight, 1200))
net = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(432, 3))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(3):
    net.train()
    for x, y in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
net.eval()
with torch.no_grad():
    right = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(test_set, batch_size=100))
print("accuracy: %.4f" % (right / 300))
