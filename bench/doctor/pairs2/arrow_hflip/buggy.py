"""Traffic arrows: left, right, up, down."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, 1, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, 1, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(24 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(torch.flatten(x, 1))
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def arrow(label, rng):
    base = tuple(int(v) for v in rng.integers(0, 120, 3))
    ink = tuple(int(v) for v in rng.integers(140, 255, 3))
    im = Image.new("RGB", (28, 28), base)
    d = ImageDraw.Draw(im)
    n = int(rng.integers(6, 11))
    d.line((14 - n, 14, 14 + n - 3, 14), fill=ink, width=2)
    d.polygon([(14 + n, 14), (14 + n - 6, 9), (14 + n - 6, 19)], fill=ink)
    turn = {0: 180, 1: 0, 2: 90, 3: 270}[label] + rng.uniform(-20, 20)
    dx, dy = (int(v) for v in rng.integers(-3, 4, 2))
    im = im.rotate(turn, resample=Image.BILINEAR, translate=(dx, dy), fillcolor=base)
    a = np.asarray(im, np.float32) / 255 + rng.normal(0, 0.08, (28, 28, 3))
    return a.transpose(2, 0, 1).astype(np.float32)


class Arrows(torch.utils.data.Dataset):
    def __init__(self, n, seed, augment):
        rng = np.random.default_rng(seed)
        self.targets = [int(v) for v in rng.integers(0, 4, n)]
        self.data = [torch.from_numpy(arrow(t, rng)) for t in self.targets]
        self.augment = augment

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        x, t = self.data[i], self.targets[i]
        if self.augment and torch.rand(1).item() < 0.5:
            x = x.flip(2)
        return (x - 0.4) / 0.25, t


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(
                epoch, batch_idx * len(data), len(loader.dataset), loss.item()))


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            pred = model(data).argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="arrows")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    train_loader = torch.utils.data.DataLoader(Arrows(1000, 10, True), batch_size=args.batch_size, shuffle=True)
    test_loader = torch.utils.data.DataLoader(Arrows(500, 20, False), batch_size=100)
    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
    print("accuracy: {:.3f}".format(test(model, test_loader)))


if __name__ == "__main__":
    main()
