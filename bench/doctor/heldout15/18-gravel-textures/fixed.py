from __future__ import print_function
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR

# Sieve grades of gravel, photographed on a belt from a fixed height.
GRADES = ['2/4 mm', '4/8 mm', '8/16 mm', '16/22 mm']
RADIUS = [(1.2, 1.6), (1.7, 2.2), (2.4, 3.1), (3.4, 4.4)]
FULL, OUT = 36, 24


def photograph(grade, rng):
    yy, xx = np.mgrid[0:FULL, 0:FULL]
    img = np.full((FULL, FULL), rng.uniform(0.1, 0.25))
    low, high = RADIUS[grade]
    n = int(1.1 * FULL * FULL / (3.14 * ((low + high) / 2) ** 2))
    for _ in range(n):
        cx, cy = rng.uniform(-2, FULL + 2, 2)
        r = rng.uniform(low, high)
        stretch = rng.uniform(0.75, 1.3)
        d = ((xx - cx) * stretch) ** 2 + ((yy - cy) / stretch) ** 2
        stone = d < r * r
        tone = rng.uniform(0.35, 0.9)
        img[stone] = (tone * (1.0 - 0.4 * d / (r * r)))[stone]
    img = img * rng.uniform(0.7, 1.2) + rng.normal(0, 0.06, img.shape)
    return np.clip(img, 0, 1)


def make_data(n, seed):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, len(GRADES), n)
    data = np.stack([photograph(t, rng) for t in target])
    return torch.tensor(data, dtype=torch.float32).unsqueeze(1), torch.tensor(target)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.dropout1 = nn.Dropout(0.2)
        self.fc1 = nn.Linear(32 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, len(GRADES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2, ceil_mode=True)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout1(x)
        return self.fc2(x)


def random_patch(photo):
    """A random square of the belt, mirrored at random."""
    side = OUT
    top, left = random.randint(0, FULL - side), random.randint(0, FULL - side)
    patch = photo[:, top:top + side, left:left + side]
    if random.random() < 0.5:
        patch = patch.flip(-1)
    return patch


def centre_patch(photos):
    m = (FULL - OUT) // 2
    return photos[..., m:m + OUT, m:m + OUT]


def train(args, model, data, target, optimizer, epoch, mean, std):
    model.train()
    order = torch.randperm(len(data))
    for step, idx in enumerate(order.split(args.batch_size)):
        patches = torch.stack([random_patch(data[i]) for i in idx])
        output = model((patches - mean) / std)
        loss = F.cross_entropy(output, target[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, step * args.batch_size, len(data), loss.item()))


def test(model, data, target, mean, std):
    model.eval()
    with torch.no_grad():
        output = model((centre_patch(data) - mean) / std)
        test_loss = F.cross_entropy(output, target).item()
        accuracy = output.argmax(1).eq(target).float().mean().item()
    print('Test set: average loss: {:.4f}, accuracy: {:.4f}'.format(test_loss, accuracy))


def main():
    parser = argparse.ArgumentParser(description='Gravel grading example')
    parser.add_argument('--batch-size', type=int, default=40)
    parser.add_argument('--epochs', type=int, default=10)
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--gamma', type=float, default=0.8)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=20)
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)

    data, target = make_data(1200, seed=100)
    test_data, test_target = make_data(500, seed=200)
    mean, std = data.mean(), data.std()

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, data, target, optimizer, epoch, mean, std)
        scheduler.step()
    test(model, test_data, test_target, mean, std)


if __name__ == '__main__':
    main()
