from __future__ import print_function

import argparse
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset


class Wells(Dataset):
    """Photographs of wells with one to six colonies; the class is the number of colonies less one."""

    def __init__(self, count, seed, transform=None, size=40):
        rng = np.random.default_rng(seed)
        yy, xx = np.mgrid[0:size, 0:size]
        self.transform = transform
        self.targets = rng.integers(0, 6, count).tolist()
        self.images = []
        for t in self.targets:
            img = np.full((size, size), rng.uniform(0.55, 0.75), dtype=np.float32)
            placed = []
            while len(placed) < t + 1:
                cx, cy = rng.uniform(7, size - 7, 2)
                if all(math.hypot(cx - a, cy - b) > 8 for a, b in placed):
                    placed.append((cx, cy))
                    blob = np.exp(-(((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * 1.8 ** 2)) ** 2)
                    img -= rng.uniform(0.38, 0.45) * blob
            img += rng.normal(0, 0.04, img.shape)
            self.images.append(torch.from_numpy(img.astype(np.float32)).unsqueeze(0))

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        img = self.images[index]
        if self.transform is not None:
            img = self.transform(img)
        return (img - 0.6) / 0.15, self.targets[index]


class RandomCrop:
    def __init__(self, size, padding=0):
        self.size, self.padding = size, padding

    def __call__(self, img):
        p = self.padding
        if p:
            img = F.pad(img[None], (p, p, p, p), mode="replicate")[0]
        top = random.randint(0, img.shape[-2] - self.size)
        left = random.randint(0, img.shape[-1] - self.size)
        return img[:, top:top + self.size, left:left + self.size]


class RandomFlips:
    def __call__(self, img):
        if random.random() < 0.5:
            img = img.flip(-1)
        if random.random() < 0.5:
            img = img.flip(-2)
        return img


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, img):
        for step in self.steps:
            img = step(img)
        return img


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.conv3 = nn.Conv2d(24, 32, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32, 32)
        self.fc2 = nn.Linear(32, 6)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.bn3(self.conv3(x)))
        x = x.mean(dim=(2, 3))
        return self.fc2(F.relu(self.fc1(x)))


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            pred = model(data).argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Colony counter')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--test-batch-size', type=int, default=200)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=4e-3)
    parser.add_argument('--gamma', type=float, default=0.7)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=20)
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    augment = Compose(RandomCrop(40, padding=3), RandomFlips())
    train_loader = DataLoader(Wells(1400, 10, augment), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(Wells(400, 20), batch_size=args.test_batch_size)

    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print('accuracy: {:.3f}'.format(test(model, device, test_loader)))


if __name__ == '__main__':
    main()
