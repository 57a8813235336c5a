import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

COUNTS = [1500, 40, 40]


def parts(counts, seed):
    """Castings: fine, scratched, dented."""
    g = torch.Generator().manual_seed(seed)
    y = torch.cat([torch.full((n,), k) for k, n in enumerate(counts)])
    x = torch.randn(len(y), 1, 16, 16, generator=g) * 0.5
    for i in range(len(y)):
        r, c = torch.randint(1, 11, (2,), generator=g).tolist()
        if y[i] == 1:
            x[i, 0, r, c : c + 5] += 1.2
        elif y[i] == 2:
            x[i, 0, r : r + 3, c : c + 3] += 0.8
    return TensorDataset(x, y)


def balanced_accuracy(net, loader):
    net.eval()
    hits, totals = torch.zeros(3), torch.zeros(3)
    with torch.no_grad():
        for x, y in loader:
            hits.index_add_(0, y, (net(x).argmax(1) == y).float())
            totals.index_add_(0, y, torch.ones(len(y)))
    return (hits / totals).mean().item()


torch.manual_seed(0)
train_set, test_set = parts(COUNTS, 0), parts([200, 200, 200], 1)
train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
test_loader = DataLoader(test_set, batch_size=200)
net = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveMaxPool2d(1),
    nn.Flatten(),
    nn.Linear(16, 3),
)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(5):
    net.train()
    for x, y in train_loader:
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
print("accuracy: %.4f" % balanced_accuracy(net, test_loader))
