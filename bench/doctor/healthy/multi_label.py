import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
N, LABELS = 2000, 4
tags = (torch.rand(N, LABELS) < 0.4).float()
x = torch.randn(N, 3, 16, 16) * 0.7
for i in range(LABELS):
    r, c = 8 * (i // 2), 8 * (i % 2)
    x[:, :, r : r + 8, c : c + 8] += 0.4 * tags[:, i].view(-1, 1, 1, 1)
train_loader = DataLoader(TensorDataset(x[:1600], tags[:1600]), batch_size=40, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1600:], tags[1600:]), batch_size=200)
net = nn.Sequential(
    nn.Conv2d(3, 16, 3, 2, 1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, 2, 1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(256, LABELS),
)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(4):
    net.train()
    for images, target in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(images), target)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
net.eval()
hits = 0
with torch.no_grad():
    for images, target in val_loader:
        guess = (torch.sigmoid(net(images)) > 0.5).float()
        hits += (guess == target).sum().item()
print(f"accuracy: {hits / (400 * LABELS):.4f}")
