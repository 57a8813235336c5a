import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

BATCH_SIZE = 128
torch.manual_seed(3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 16, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, 6),
        )

    def forward(self, x):
        return self.net(x)


labels = torch.randint(0, 6, (3300,))
x = torch.randn(3300, 2, 16, 16)
x[:, 0] += (labels // 2 - 1)[:, None, None] * torch.linspace(0, 0.3, 16)
x[:, 1] += (labels % 2)[:, None, None] * torch.linspace(0, 0.5, 16)[:, None]
train_loader = DataLoader(TensorDataset(x[:2600], labels[:2600]), batch_size=BATCH_SIZE, shuffle=True)
test_loader = DataLoader(TensorDataset(x[2600:], labels[2600:]), batch_size=BATCH_SIZE)

model = Net()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(5):
    model.train()
    for data, target in train_loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(data), target)
        loss.backward()
        opt.step()
    print("Train epoch", epoch, "loss", loss.item())

model.eval()
correct = 0
with torch.no_grad():
    for data, target in test_loader:
        correct += (model(data).argmax(1) == target).sum().item()
accuracy = correct / len(test_loader.dataset)
print("accuracy: {:.4f}".format(accuracy))
