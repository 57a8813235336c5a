import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
base = torch.randn(4, 1, 10, 10)
y = torch.randint(0, 4, (1281,))
x = base[y] * 0.6 + torch.randn(1281, 1, 10, 10)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, drop_last=True)
test_y = torch.randint(0, 4, (321,))
test_x = base[test_y] * 0.6 + torch.randn(321, 1, 10, 10)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(1024, 32, bias=False),
    nn.BatchNorm1d(32),
    nn.ReLU(),
    nn.Linear(32, 4),
)
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
for epoch in range(4):
    model.train()
    for xb, yb in loader:
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
model.eval()
with torch.no_grad():
    print(f"accuracy: {(model(test_x).argmax(1) == test_y).float().mean().item():.4f}")
