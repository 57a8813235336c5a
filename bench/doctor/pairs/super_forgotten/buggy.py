import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, n_classes):
        self.n_classes = n_classes
        self.conv = nn.Conv2d(1, 8, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 25, n_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return self.fc(torch.flatten(x, 1))


torch.manual_seed(0)
y = torch.randint(0, 3, (900,))
x = torch.randn(900, 1, 12, 12) + (y[:, None, None, None] - 1) * 0.3
loader = DataLoader(TensorDataset(x[:700], y[:700]), batch_size=35, shuffle=True)
net = Net(3)
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = nn.CrossEntropyLoss()(net(xb), yb)
        loss.backward()
        opt.step()
net.eval()
with torch.no_grad():
    print(f"accuracy: {(net(x[700:]).argmax(1) == y[700:]).float().mean().item():.4f}")
