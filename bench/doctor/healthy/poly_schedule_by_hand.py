import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def adjust_learning_rate(optimizer, step, total, base=0.1):
    lr = base * min(1.0, (step + 1) / 10) * (1 - step / total) ** 0.9
    for group in optimizer.param_groups:
        group["lr"] = lr


torch.manual_seed(0)
p = torch.randn(6, 3, 12, 12)
y = torch.randint(0, 6, (1800,))
x = 0.35 * p[y] + torch.randn(1800, 3, 12, 12)
loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=50, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.PReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.PReLU(),
    nn.Flatten(),
    nn.Linear(144, 6),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
epochs, step = 4, 0
for epoch in range(epochs):
    model.train()
    for xb, yb in loader:
        adjust_learning_rate(optimizer, step, epochs * len(loader))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        step += 1
    print(epoch, loss.item())
model.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (model(x[1500:]).argmax(1) == y[1500:]).float().mean().item())
