import torch
import torch.nn as nn

torch.manual_seed(0)


class Patches:
    """Is the bright half on top, at the bottom, left or right?"""

    def __init__(self, n):
        self.y = torch.randint(0, 4, (n,))
        ramp = torch.linspace(-1, 1, 16).view(1, 16, 1).expand(n, 16, 16)
        flat = torch.stack([ramp, -ramp, ramp.transpose(1, 2), -ramp.transpose(1, 2)], 1)
        self.x = (0.35 * flat[torch.arange(n), self.y] + torch.randn(n, 16, 16)).unsqueeze(1)

    def batches(self, size, shuffle):
        order = torch.randperm(len(self.y)) if shuffle else torch.arange(len(self.y))
        for idx in order.split(size):
            yield self.x[idx], self.y[idx]


train, test = Patches(1000), Patches(400)
model = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
                      nn.Flatten(), nn.Linear(256, 4))
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    running_loss = 0.0
    for x, y in train.batches(25, True):
        opt.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        opt.step()
        running_loss += loss.item()
    print("epoch %d loss %.4f" % (epoch, running_loss / 40))
model.eval()
with torch.no_grad():
    ok = sum((model(x).argmax(1) == y).sum().item() for x, y in test.batches(100, False))
print("accuracy: %.3f" % (ok / 400))
