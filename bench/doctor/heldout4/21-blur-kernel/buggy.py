"""Anti-aliased downsampling (Zhang 2019) on four synthetic textures."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(11)


def make_textures(n, size=24):
    """horizontal bars, vertical bars, checkerboard, rings"""
    labels = torch.arange(n) % 4
    c = torch.arange(size).float() - size / 2
    yy, xx = torch.meshgrid(c, c, indexing="ij")
    images = torch.empty(n, 1, size, size)
    for i in range(n):
        f = 0.7 + 0.6 * torch.rand(1)
        p, q = 2 * math.pi * torch.rand(2)
        k = int(labels[i])
        if k == 0:
            img = torch.sin(f * yy + p)
        elif k == 1:
            img = torch.sin(f * xx + p)
        elif k == 2:
            img = 1.4 * torch.sin(f * xx + p) * torch.sin(f * yy + q)
        else:
            cy, cx = 8 * torch.rand(2) - 4
            img = torch.sin(f * torch.sqrt((xx - cx) ** 2 + (yy - cy) ** 2) + p)
        images[i, 0] = img + 0.9 * torch.randn(size, size)
    return images, labels


class BlurPool(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.channels = channels
        tap = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(tap, tap)
        kernel = (kernel / kernel.sum()).repeat(channels, 1, 1, 1)
        self.kernel = kernel

    def forward(self, x):
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=self.channels)


def block(cin, cout):
    return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)]


class AntiAliasedNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.features = nn.Sequential(
            *block(1, 16), BlurPool(16),
            *block(16, 32), BlurPool(32),
            *block(32, 48),
        )
        self.classifier = nn.Linear(48, classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


x_train, y_train = make_textures(1600)
x_test, y_test = make_textures(400)
mu, sigma = x_train.mean(), x_train.std()
train = TensorDataset((x_train - mu) / sigma, y_train)
test = TensorDataset((x_test - mu) / sigma, y_test)
train_loader = DataLoader(train, batch_size=50, shuffle=True)
test_loader = DataLoader(test, batch_size=200)

model = AntiAliasedNet().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)

for epoch in range(4):
    model.train()
    running = 0.0
    for images, labels in train_loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch + 1}: loss {running / len(train_loader):.4f}")

model.eval()
correct = 0
with torch.no_grad():
    for images, labels in test_loader:
        images, labels = images.to(device), labels.to(device)
        correct += (model(images).argmax(1) == labels).sum().item()
print(f"accuracy: {correct / len(test):.3f}")
