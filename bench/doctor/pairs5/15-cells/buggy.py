from __future__ import print_function
import argparse
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

NAMES = ['coccus', 'bacillus', 'diplococcus', 'ring', 'vibrio', 'tetrad']


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, len(NAMES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        return self.fc2(x)


def micrograph(kind, rng, side=24):
    yy, xx = np.mgrid[0:side, 0:side]
    cy, cx = rng.uniform(9, side - 9, 2)
    t = rng.uniform(0, 2 * math.pi)
    g = rng.uniform(0.85, 1.2)
    u = ((xx - cx) * math.cos(t) + (yy - cy) * math.sin(t)) / g
    v = (-(xx - cx) * math.sin(t) + (yy - cy) * math.cos(t)) / g

    def blob(a, b, s=2.2):
        return np.exp(-((u - a) ** 2 + (v - b) ** 2) / (2 * s * s))

    if kind == 'coccus':
        body = blob(0, 0, 3.2)
    elif kind == 'bacillus':
        body = np.exp(-(u / 6.0) ** 4 - (v / 2.4) ** 2)
    elif kind == 'diplococcus':
        body = np.maximum(blob(-3.6, 0), blob(3.6, 0))
    elif kind == 'ring':
        body = np.exp(-((np.hypot(u, v) - 4.8) / 1.6) ** 2)
    elif kind == 'vibrio':
        r, a = np.hypot(u, v), np.arctan2(v, u)
        body = np.exp(-((r - 5.0) / 1.7) ** 2) * (np.abs(a) < 1.5)
    else:
        body = np.maximum.reduce([blob(i, j, 1.8) for i in (-3, 3) for j in (-3, 3)])
    field = rng.uniform(0.55, 0.8) + rng.normal(0, 0.06) * (xx - side / 2) / side + rng.normal(0, 0.06) * (yy - side / 2) / side
    return np.clip(field - rng.uniform(0.25, 0.45) * body + rng.normal(0, 0.05, body.shape), 0, 1)


def make_set(n, rng):
    target = rng.permutation(np.arange(n) % len(NAMES))
    data = np.stack([micrograph(NAMES[k], rng) for k in target])
    return torch.tensor(data, dtype=torch.float32).unsqueeze(1), torch.tensor(target)


def warmup_cosine(args, steps_per_epoch):
    """Linear warm-up over the first epochs, then half a cosine down to zero."""
    warmup = args.warmup_epochs * steps_per_epoch
    total = args.epochs * steps_per_epoch

    def schedule(step):
        if step < warmup:
            factor = (step + 1) / warmup
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        return args.lr * factor

    return schedule


def train(args, model, train_loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{} ({:.0f}%)]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset),
                100. * batch_idx / len(train_loader), loss.item()))


def test(model, loader, what):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction='sum').item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    n = len(loader.dataset)
    print('{}: average loss {:.4f}, correct {}/{}, accuracy {:.4f}'.format(what, test_loss / n, correct, n, correct / n))


def main():
    parser = argparse.ArgumentParser(description='Bacteria shapes')
    parser.add_argument('--batch-size', type=int, default=32, metavar='N')
    parser.add_argument('--epochs', type=int, default=9, metavar='N')
    parser.add_argument('--warmup-epochs', type=int, default=1, metavar='N')
    parser.add_argument('--lr', type=float, default=0.03, metavar='LR')
    parser.add_argument('--momentum', type=float, default=0.9, metavar='M')
    parser.add_argument('--seed', type=int, default=1, metavar='S')
    parser.add_argument('--log-interval', type=int, default=20, metavar='N')
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    (x, y), (xv, yv), (xt, yt) = make_set(1536, rng), make_set(300, rng), make_set(480, rng)
    mean, std = x.mean(), x.std()
    train_loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=200)
    test_loader = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=200)

    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    scheduler = LambdaLR(optimizer, warmup_cosine(args, len(train_loader)))
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, scheduler, epoch)
        test(model, val_loader, 'Validation')
    test(model, test_loader, 'Test')


if __name__ == '__main__':
    main()
