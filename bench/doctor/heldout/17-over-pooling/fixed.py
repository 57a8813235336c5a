import numpy as np
import torch as t
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class MarkOnGrid(Dataset):
    """The cell of a 3 x 3 grid that holds the bright mark among dark ones tells the class."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, 9, n)
        self.x = rng.normal(0, 0.25, (n, 1, 24, 24)).astype("f4")
        for i in range(n):
            for cell in range(9):
                r, c = rng.integers(1, 6, 2) + [cell // 3 * 8, cell % 3 * 8]
                self.x[i, 0, r : r + 2, c : c + 2] += 1.0 if cell == self.y[i] else -1.0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, 9)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(x.view(x.size(0), -1)))
        return self.fc2(x)


t.manual_seed(8)
trainloader = DataLoader(MarkOnGrid(2000, 0), batch_size=32, shuffle=True)
testloader = DataLoader(MarkOnGrid(500, 1), batch_size=100, shuffle=False)
net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = t.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(8):  # loop over the dataset multiple times
    running_loss = 0.0
    for i, (inputs, labels) in enumerate(trainloader, 0):
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print("[%d] loss: %.3f" % (epoch + 1, running_loss / (i + 1)))
print("Finished Training")

correct = total = 0
with t.no_grad():
    for images, labels in testloader:
        _, predicted = t.max(net(images), 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
print("accuracy: %.4f" % (correct / total))
