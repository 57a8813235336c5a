import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
protos = torch.randn(4, 1, 16, 16)


def draw(n):
    y = torch.randint(0, 4, (n,))
    return protos[y] * 0.22 + torch.randn(n, 1, 16, 16), y


x, y = draw(2060)
n_val = 500
x_train, y_train = x[:-n_val], y[:-n_val]
x_val, y_val = x[-n_val:], y[-n_val:]
train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=30, shuffle=True)
val_loader = DataLoader(TensorDataset(x_val, y_val), batch_size=250)

model = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(2048, 128),
    nn.ReLU(),
    nn.Linear(128, 4),
)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        val_loss = sum(criterion(model(xb), yb).item() for xb, yb in val_loader) / len(val_loader)
        acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in val_loader) / n_val
    print(f"epoch {epoch} train {loss.item():.3f} val {val_loss:.3f} acc {acc:.3f}")
print(f"accuracy: {acc:.4f}")
