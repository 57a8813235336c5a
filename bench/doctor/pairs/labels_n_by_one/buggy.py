import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class NumpyDataset(Dataset):
    def __init__(self, n, seed):
        rng = np.random.RandomState(seed)
        self.labels = rng.randint(0, 4, size=(n, 1))
        self.images = rng.randn(n, 12, 12, 1).astype(np.float32)
        for k in range(4):
            self.images[self.labels[:, 0] == k, 3 * k : 3 * k + 3] += 0.6

    def __len__(self):
        return self.labels.shape[0]

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i].transpose(2, 0, 1)), torch.from_numpy(self.labels[i])


torch.manual_seed(0)
train_loader = DataLoader(NumpyDataset(800, 0), batch_size=20, shuffle=True)
test_loader = DataLoader(NumpyDataset(300, 1), batch_size=50)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 4))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(4):
    for images, labels in train_loader:
        optimizer.zero_grad()
        outputs = net(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
correct = 0
with torch.no_grad():
    for images, labels in test_loader:
        correct += (net(images).argmax(1) == labels.squeeze(1)).sum().item()
print("accuracy: %.4f" % (correct / 300))
