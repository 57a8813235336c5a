import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, 1)
        self.conv2 = nn.Conv2d(12, 24, 3, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(24 * 5 * 5, 48)
        self.fc2 = nn.Linear(48, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(torch.flatten(x, 1))
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def hatch(kind, rng, side=28):
    """Map hatchings: 0 horizontal, 1 vertical, 2 diagonal, 3 grid, 4 dots."""
    img = Image.new("L", (side, side), int(rng.randint(170, 240)))
    pen = ImageDraw.Draw(img)
    step, start, ink = int(rng.randint(5, 8)), int(rng.randint(0, 5)), int(rng.randint(30, 100))
    for p in range(start - side, 2 * side, step):
        if kind in (0, 3):
            pen.line((0, p, side, p), fill=ink)
        if kind in (1, 3):
            pen.line((p, 0, p, side), fill=ink)
        if kind == 2:
            pen.line((p, 0, p + side, side), fill=ink)
        if kind == 4:
            for q in range(start, side, step):
                pen.rectangle((p, q, p + 1, q + 1), fill=ink)
    a = np.asarray(img, dtype=np.float32) + rng.normal(0, 35, (side, side))
    return a.clip(0, 255).astype(np.uint8)


def make_set(n, seed):
    rng = np.random.RandomState(seed)
    targets = rng.permutation(np.arange(n) % 5)
    data = np.stack([hatch(k, rng) for k in targets])
    return torch.from_numpy(data).unsqueeze(1).float() / 255, torch.from_numpy(targets).long()


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, test_loader):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).float().mean().item() * len(data)
    test_loss /= len(test_loader.dataset)
    print('Test set: Average loss: {:.4f}'.format(test_loss))
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Hatchings')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=1.5e-3)
    parser.add_argument('--gamma', type=float, default=0.8)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    (x, y), (tx, ty) = make_set(2000, 1), make_set(500, 2)
    mean, std = x.mean(), x.std()
    train_loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset((tx - mean) / std, ty), batch_size=100)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
    print('accuracy: {:.3f}'.format(test(model, test_loader)))


if __name__ == '__main__':
    main()
