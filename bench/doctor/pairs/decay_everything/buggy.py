import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def conv_bn(i, o, s):
    return nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def build(classes):
    return nn.Sequential(
        conv_bn(1, 12, 1),
        conv_bn(12, 24, 2),
        conv_bn(24, 24, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, classes),
    )


def data(n):
    y = torch.randint(0, 4, (n,))
    x = torch.randn(n, 1, 16, 16) * 0.5
    x[y == 0] += torch.linspace(-1, 1, 16)
    x[y == 1] += torch.linspace(1, -1, 16)
    x[y == 2] += torch.linspace(-1, 1, 16)[:, None]
    x[y == 3] += torch.linspace(1, -1, 16)[:, None]
    return TensorDataset(x, y)


torch.manual_seed(0)
train_dl, val_dl = DataLoader(data(1500), batch_size=50, shuffle=True), DataLoader(data(500), batch_size=100)
model = build(4)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
criterion = nn.CrossEntropyLoss()
for epoch in range(4):
    model.train()
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print("Epoch", epoch, loss.item())

model.eval()
with torch.no_grad():
    acc = torch.cat([model(xb).argmax(1) == yb for xb, yb in val_dl]).float().mean().item()
print(f"accuracy: {acc:.4f}")
