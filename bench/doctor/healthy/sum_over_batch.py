import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
q = torch.randn(5, 2, 12, 12)
y = torch.randint(0, 5, (1500,))
x = 0.4 * q[y] + torch.randn(1500, 2, 12, 12)
dl = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=48, shuffle=True)
criterion = nn.CrossEntropyLoss(reduction="sum")
model = nn.Sequential(
    nn.Conv2d(2, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)
)
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
for epoch in range(5):
    total = 0.0
    for xb, yb in dl:
        loss = criterion(model(xb), yb) / len(xb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    print(epoch, total / 1200)
model.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (model(x[1200:]).argmax(1) == y[1200:]).float().mean().item())
