import random
import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import Variable

random.seed(0)
torch.manual_seed(0)


class Tetris:
    """Random access list of (image, piece) pairs."""

    pieces = [
        [(0, 0), (0, 1), (0, 2), (0, 3)],
        [(0, 0), (0, 1), (1, 0), (1, 1)],
        [(0, 0), (0, 1), (0, 2), (1, 1)],
        [(0, 0), (0, 1), (1, 1), (1, 2)],
        [(0, 0), (1, 0), (1, 1), (1, 2)],
    ]

    def __init__(self, n):
        self.items = [self.one() for _ in range(n)]

    def one(self):
        k = random.randrange(len(self.pieces))
        img = torch.randn(1, 18, 18) * 0.3
        r, c = random.randrange(0, 12), random.randrange(0, 6)
        for dr, dc in self.pieces[k]:
            img[0, r + 3 * dr : r + 3 * dr + 3, c + 3 * dc : c + 3 * dc + 3] += 1
        return img, k

    def minibatches(self, size, shuffle=True):
        order = list(range(len(self.items)))
        if shuffle:
            random.shuffle(order)
        for s in range(0, len(order), size):
            chunk = [self.items[j] for j in order[s : s + size]]
            yield torch.stack([c[0] for c in chunk]), torch.tensor([c[1] for c in chunk])


class PieceNet(nn.Module):
    def __init__(self):
        super(PieceNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc = nn.Linear(32, 5)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.relu(self.conv3(x))
        return self.fc(x.max(-1)[0].max(-1)[0])


train, valid = Tetris(1500), Tetris(400)
net = PieceNet()
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.parameters(), lr=0.002)

for epoch in range(8):
    net.train()
    for images, labels in train.minibatches(30):
        images, labels = Variable(images), Variable(labels)
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
    print("epoch %d loss %.4f" % (epoch, loss.item()))

net.eval()
correct = 0
with torch.no_grad():
    for images, labels in valid.minibatches(100, shuffle=False):
        correct += int((net(images).argmax(1) == labels).sum())
print("accuracy: %.4f" % (correct / len(valid.items)))
