import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def dw(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.ReLU6(inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU6(inplace=True),
    )


class MobileTiny(nn.Module):
    def __init__(self, classes=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(inplace=True),
            dw(16, 24, 2),
            dw(24, 32, 2),
        )
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Linear(128, classes)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))


torch.manual_seed(0)
y = torch.randint(0, 6, (1500,))
x = torch.randn(1500, 3, 16, 16)
for k in range(6):
    x[y == k, k % 3, :, (k // 3) * 8 : (k // 3) * 8 + 8] += 0.6
train, test = (
    DataLoader(TensorDataset(x[:1200], y[:1200]), 40, shuffle=True),
    DataLoader(TensorDataset(x[1200:], y[1200:]), 100),
)
model = MobileTiny()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(4):
    model.train()
    for xb, yb in train:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    print("epoch", epoch, loss.item())
model.eval()
with torch.no_grad():
    print(f"accuracy: {sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in test) / 300:.4f}")
