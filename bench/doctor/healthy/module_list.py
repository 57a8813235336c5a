import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class DenseBlock(nn.Module):
    def __init__(self, cin, growth, layers):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(cin + i * growth, growth, 3, padding=1) for i in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, F.relu(layer(x))], dim=1)
        return x


class TinyDense(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.block1 = DenseBlock(1, 8, 3)
        self.squeeze = nn.Conv2d(25, 12, 1)
        self.block2 = DenseBlock(12, 8, 2)
        self.fc = nn.Linear(28 * 16, classes)

    def forward(self, x):
        x = F.avg_pool2d(F.relu(self.squeeze(self.block1(x))), 2)
        x = F.avg_pool2d(self.block2(x), 2)
        return self.fc(x.flatten(1))


torch.manual_seed(0)
k = torch.randn(5, 1, 16, 16)
y = torch.randint(0, 5, (1300,))
x = 0.4 * k[y] + torch.randn(1300, 1, 16, 16)
net = TinyDense(5)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(3):
    net.train()
    for xb, yb in DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=40, shuffle=True):
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
    print("epoch", epoch, loss.item())
net.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1000:]).argmax(1) == y[1000:]).float().mean().item())
