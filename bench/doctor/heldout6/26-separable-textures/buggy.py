from __future__ import print_function

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


class ConvUnit(nn.Module):
    def __init__(self, c_in, c_out, kernel=3, stride=1, groups=1):
        super(ConvUnit, self).__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = nn.ReLU6()

    def forward(self, x):
        return self.bn(self.conv(x))


class Separable(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super(Separable, self).__init__()
        self.depthwise = ConvUnit(c_in, c_in, 3, stride, groups=c_in)
        self.pointwise = ConvUnit(c_in, c_out, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Net(nn.Module):
    def __init__(self, classes):
        super(Net, self).__init__()
        self.stem = ConvUnit(1, 16, 3)
        self.blocks = nn.Sequential(
            Separable(16, 32, 2),
            Separable(32, 48, 2),
            Separable(48, 64, 1),
        )
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        x = x.mean(dim=(2, 3))
        return self.fc(x)


CLASSES = ['rows', 'columns', 'diagonal', 'checks', 'grain', 'rings']


def make_textures(n, seed, size=32):
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:size, :size].astype(np.float64)
    images = np.empty((n, 1, size, size), dtype=np.float32)
    labels = rng.integers(0, len(CLASSES), n)
    for i, c in enumerate(labels):
        f, g = rng.uniform(0.6, 1.3, 2)
        p, q = rng.uniform(0, 2 * np.pi, 2)
        name = CLASSES[c]
        if name == 'rows':
            t = np.sin(f * yy + p + rng.normal(0, 0.05) * xx)
        elif name == 'columns':
            t = np.sin(f * xx + p + rng.normal(0, 0.05) * yy)
        elif name == 'diagonal':
            t = np.sin(f * (xx + yy) * 0.7 + p)
        elif name == 'checks':
            t = np.sin(f * xx + p) * np.sin(g * yy + q) * 1.4
        elif name == 'grain':
            z = rng.normal(0, 1, (size, size))
            t = (z + np.roll(z, 1, 0) + np.roll(z, 1, 1) + np.roll(z, (1, 1), (0, 1))) / 2.2
        else:
            cy, cx = rng.uniform(6, size - 6, 2)
            t = np.sin(f * np.hypot(yy - cy, xx - cx) + p)
        t = 0.5 + rng.uniform(0.12, 0.25) * t + rng.normal(0, 0.05, t.shape) + rng.uniform(-0.1, 0.1)
        images[i, 0] = np.clip(t, 0, 1)
    return torch.from_numpy((images - 0.5) / 0.2), torch.from_numpy(labels)


def train(args, model, device, train_loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction='sum').item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(test_loader.dataset)
    print('Test set: Average loss: {:.4f}, Accuracy: {}/{}'.format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description='Separable CNN on textures')
    parser.add_argument('--batch-size', type=int, default=40, metavar='N')
    parser.add_argument('--test-batch-size', type=int, default=100, metavar='N')
    parser.add_argument('--epochs', type=int, default=5, metavar='N')
    parser.add_argument('--lr', type=float, default=0.1, metavar='LR')
    parser.add_argument('--seed', type=int, default=1, metavar='S')
    parser.add_argument('--log-interval', type=int, default=10, metavar='N')
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    train_loader = DataLoader(TensorDataset(*make_textures(1000, 10)), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(*make_textures(300, 11)), batch_size=args.test_batch_size)

    model = Net(len(CLASSES)).to(device)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.epochs * len(train_loader))
    acc = 0.0
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, scheduler, epoch)
        acc = test(model, device, test_loader)
    print('accuracy: {:.3f}'.format(acc))


if __name__ == '__main__':
    main()
