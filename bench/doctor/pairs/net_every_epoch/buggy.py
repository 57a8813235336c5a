"""Which way do the stripes run? A small net for a course, with a fresh page for every epoch."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["upright", "flat", "rising", "falling"]


def stripes(count, seed):
    gen = torch.Generator().manual_seed(seed)
    y = torch.randint(len(KINDS), (count,), generator=gen)
    row, col = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    along = torch.stack([col, row, (row + col) / 1.4, (row - col) / 1.4])
    phase = 6.3 * torch.rand(count, 1, 1, generator=gen)
    pitch = 0.9 + 0.5 * torch.rand(count, 1, 1, generator=gen)
    x = torch.sin(pitch * along[y] + phase) + 1.8 * torch.randn(count, 20, 20, generator=gen)
    return TensorDataset(x[:, None] / 1.9, y)


class StripeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        )
        self.classify = nn.Linear(96, len(KINDS))

    def forward(self, x):
        return self.classify(self.features(x).flatten(1))


def learn(net, loader, optimizer):
    net.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def accuracy(net, data):
    net.eval()
    with torch.no_grad():
        x, y = data.tensors
        return (net(x).argmax(1) == y).float().mean().item()


torch.manual_seed(4)
train_set, test_set = stripes(1600, 1), stripes(500, 2)
loader = DataLoader(train_set, batch_size=32, shuffle=True)
for epoch in range(8):
    net = StripeNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    print(f"epoch {epoch + 1}: loss {learn(net, loader, optimizer):.3f}")
print(f"accuracy: {accuracy(net, test_set):.4f}")
