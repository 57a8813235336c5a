import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader


def make_gratings(n, classes=8, size=20, seed=0):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=g)
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angle = labels.float() * math.pi / classes
    phase = torch.rand(n, generator=g) * 2 * math.pi
    wave = torch.sin(
        0.9 * (xx * torch.cos(angle)[:, None, None] + yy * torch.sin(angle)[:, None, None]) + phase[:, None, None]
    )
    return wave.unsqueeze(1) + 0.6 * torch.randn(n, 1, size, size, generator=g), labels


class ConvBlock(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.conv(x)), 2)


class GratingNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.block1 = ConvBlock(1, 12)
        self.block2 = ConvBlock(12, 24)
        self.hidden = nn.Linear(24 * 5 * 5, 48)
        self.out = nn.Linear(48, num_classes)

    def forward(self, x):
        x = self.block2(self.block1(x))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.out(x)


def accuracy(model, loader):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(-1) == y).sum().item()
            total += y.numel()
    return hits / total


torch.manual_seed(3)
train_dl = DataLoader(TensorDataset(*make_gratings(2400, seed=1)), batch_size=48, shuffle=True)
test_dl = DataLoader(TensorDataset(*make_gratings(800, seed=2)), batch_size=200)
model = GratingNet(8)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for epoch in range(5):
    model.train()
    for x, y in train_dl:
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 3))
print(f"accuracy: {accuracy(model, test_dl):.4f}")
