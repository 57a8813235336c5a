from __future__ import print_function

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

# weave of the cloth: (kind, repeat in pixels, tilt of the thread in degrees)
WEAVES = [
    ("twill", 4.0, 30), ("twill", 4.0, 60), ("twill", 6.5, 30), ("twill", 6.5, 60), ("twill", 5.0, 135),
    ("plain", 4.0, 0), ("plain", 6.5, 0), ("basket", 5.0, 45), ("satin", 5.0, 0), ("satin", 5.0, 90),
]


def swatch(label, size, rng):
    kind, period, tilt = WEAVES[label]
    period = period * rng.uniform(0.93, 1.07)
    a = np.deg2rad(tilt + rng.normal(0, 6))
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    u = 2 * np.pi * (np.cos(a) * xx + np.sin(a) * yy) / period + rng.uniform(0, 2 * np.pi)
    v = 2 * np.pi * (-np.sin(a) * xx + np.cos(a) * yy) / period + rng.uniform(0, 2 * np.pi)
    if kind == "twill":
        z = np.cos(u)
    elif kind == "plain":
        z = np.cos(u) * np.cos(v)
    elif kind == "basket":
        z = np.sign(np.cos(u)) * np.cos(v)
    else:
        z = np.cos(u) + 0.6 * np.cos(v / 2)
    # uneven light, creases, grain
    light = 0.5 + rng.uniform(-0.25, 0.25) * (xx / size - 0.5) + rng.uniform(-0.25, 0.25) * (yy / size - 0.5)
    crease = np.exp(-((xx - rng.uniform(0, size)) ** 2) / 8) * rng.uniform(-0.3, 0.3)
    img = light + crease + rng.uniform(0.06, 0.2) * z + rng.normal(0, 0.13, z.shape)
    return np.clip(img * rng.uniform(0.7, 1.2), 0, 1)


def make_set(n, size, seed):
    rng = np.random.RandomState(seed)
    y = rng.randint(0, len(WEAVES), n)
    x = np.stack([swatch(k, size, rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y).long()


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.fc = nn.Linear(48, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)


def mixup(data, target, num_classes, alpha):
    lam = float(np.random.beta(alpha, alpha))
    perm = torch.randperm(data.size(0))
    onehot = F.one_hot(target, num_classes).float()
    return lam * data + (1 - lam) * data[perm], lam * onehot + (1 - lam) * onehot[perm]


def soft_cross_entropy(output, target):
    log_prob = F.log_softmax(output, dim=1)
    return -(target * log_prob).mean()


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = mixup(data, target, len(WEAVES), args.alpha)
        optimizer.zero_grad()
        loss = soft_cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * args.batch_size, len(loader.dataset), loss.item()))


def test(model, loader, name):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            pred = model(data).argmax(dim=1)
            correct += pred.eq(target).sum().item()
    acc = correct / len(loader.dataset)
    print('{} set: {}/{} correct, accuracy {:.4f}'.format(name, correct, len(loader.dataset), acc))
    return acc


def main():
    parser = argparse.ArgumentParser(description='Cloth weave recognition')
    parser.add_argument('--batch-size', type=int, default=64, metavar='N')
    parser.add_argument('--epochs', type=int, default=8, metavar='N')
    parser.add_argument('--lr', type=float, default=0.05, metavar='LR')
    parser.add_argument('--gamma', type=float, default=0.75, metavar='M')
    parser.add_argument('--alpha', type=float, default=0.2, metavar='A', help='mixup strength (default: 0.2)')
    parser.add_argument('--size', type=int, default=28)
    parser.add_argument('--seed', type=int, default=1, metavar='S')
    parser.add_argument('--log-interval', type=int, default=12, metavar='N')
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)

    (x_train, y_train), (x_val, y_val), (x_test, y_test) = (
        make_set(n, args.size, seed) for n, seed in ((1600, 10), (300, 20), (600, 30)))
    mean, std = x_train.mean(), x_train.std()
    train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=args.batch_size,
                              shuffle=True, drop_last=True)
    val_loader = DataLoader(TensorDataset((x_val - mean) / std, y_val), batch_size=256)
    test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=256)

    model = Net(len(WEAVES))
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, val_loader, 'Validation')
        scheduler.step()
    test(model, test_loader, 'Test')


if __name__ == '__main__':
    main()
