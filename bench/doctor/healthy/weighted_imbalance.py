import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
counts = {0: 1400, 1: 140, 2: 70}


def scans(counts):
    y = torch.cat([torch.full((n,), k) for k, n in counts.items()])
    x = torch.randn(len(y), 1, 16, 16) * 0.6
    x[y == 1, 0, 3:7, 3:7] += 1.0
    x[y == 2, 0, 9:13, 9:13] += 1.0
    return TensorDataset(x, y)


train_dl = DataLoader(scans(counts), batch_size=46, shuffle=True)
test_dl = DataLoader(scans({0: 150, 1: 150, 2: 150}), batch_size=150)
weight = torch.tensor([sum(counts.values()) / (3 * n) for n in counts.values()])
criterion = nn.CrossEntropyLoss(weight=weight)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 8, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(128, 3),
)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    model.train()
    for x, y in train_dl:
        opt.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
with torch.no_grad():
    right = sum((model(x).argmax(1) == y).sum().item() for x, y in test_dl)
print(f"accuracy: {right / 450:.4f}")
