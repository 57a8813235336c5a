import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


def to_tensor(img):
    return torch.from_numpy(img.transpose(2, 0, 1).copy()).float() / 255


def center_crop(img, size):
    top = (img.shape[0] - size) // 2
    left = (img.shape[1] - size) // 2
    return img[top : top + size, left : left + size]


class Patches(Dataset):
    def __init__(self, n, seed=0, transform=None):
        rng = np.random.RandomState(seed)
        self.targets = rng.randint(0, 5, size=n)
        palette = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [190, 190, 50], [150, 60, 170]])
        imgs = rng.randint(0, 120, size=(n, 32, 32, 3))
        for i, t in enumerate(self.targets):
            y, x = rng.randint(6, 18, 2)
            imgs[i, y : y + 8, x : x + 8] = palette[t] + rng.randint(-40, 40, (8, 8, 3))
        self.images = np.clip(imgs, 0, 255).astype(np.uint8)
        self.transform = transform

    def __getitem__(self, index):
        img, target = self.images[index], self.targets[index]
        if self.transform:
            img = self.transform(img)
        return img, int(target)

    def __len__(self):
        return len(self.images)


class LeNet(nn.Module):
    def __init__(self):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 5 * 5, 60)
        self.fc2 = nn.Linear(60, 5)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


transform = lambda img: to_tensor(center_crop(img, 28))
trainset = Patches(1500, seed=0, transform=transform)
trainloader = DataLoader(trainset, batch_size=30, shuffle=True)
testset = Patches(500, seed=1, transform=transform)
testloader = DataLoader(testset, batch_size=100, shuffle=False)

torch.manual_seed(0)
net = LeNet()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

for epoch in range(3):
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print("[%d] loss: %.3f" % (epoch + 1, running_loss / (i + 1)))

correct = 0
total = 0
with torch.no_grad():
    for data in testloader:
        images, labels = data
        outputs = net(images)
        _, predicted = torch.max(outputs.data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
print("accuracy: %.4f" % (correct / total))
