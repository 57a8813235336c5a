import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(71)
torch.set_num_threads(1)

CLASSES = 6
BATCH = 32
EPOCHS = 25
NOISE = 0.1  # share of labels drawn at random in each batch, as a regulariser


def keys(n):
    """Key with a bit of 2, 4 or 6 pixels, pointing up or down."""
    y = torch.randint(0, CLASSES, (n,))
    x = 0.6 * torch.randn(n, 1, 16, 16)
    for i, c in enumerate(y.tolist()):
        r, s = torch.randint(6, 10, (1,)).item(), torch.randint(0, 4, (1,)).item()
        length = 2 + 2 * (c % 3)
        x[i, 0, r, s : s + 12] += 1.3
        if c < 3:
            x[i, 0, r - length : r, s + 8 : s + 10] += 1.3
        else:
            x[i, 0, r + 1 : r + 1 + length, s + 8 : s + 10] += 1.3
    return x, y


class KeyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(512, CLASSES)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


train_x, train_y = keys(1600)
test_x, test_y = keys(500)
net = KeyNet()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

for epoch in range(EPOCHS):
    net.train()
    shift = torch.randperm(len(train_x) // BATCH).tolist()
    for k in shift:
        data = train_x[k * BATCH : (k + 1) * BATCH]
        target = train_y[k * BATCH : (k + 1) * BATCH]
        noisy = torch.rand(BATCH) < NOISE
        target[noisy] = torch.randint(0, CLASSES, (int(noisy.sum()),))
        optimizer.zero_grad()
        loss = F.cross_entropy(net(data), target)
        loss.backward()
        optimizer.step()
    if (epoch + 1) % 5 == 0:
        net.eval()
        with torch.no_grad():
            acc = (net(test_x).argmax(1) == test_y).float().mean().item()
        print("epoch", epoch + 1, "loss", round(loss.item(), 3), "test", round(acc, 4))

print("accuracy: %.4f" % acc)
