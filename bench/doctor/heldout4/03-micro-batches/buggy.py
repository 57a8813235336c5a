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
        self.conv1 = nn.Conv2d(1, 12, 3, 1, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, 1, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(24 * 6 * 6, 48)
        self.fc2 = nn.Linear(48, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def draw_shape(kind, rng):
    im = Image.new("L", (24, 24), int(rng.integers(20, 70)))
    d = ImageDraw.Draw(im)
    r = int(rng.integers(5, 9))
    cx, cy = (int(v) for v in rng.integers(9, 15, 2))
    ink = int(rng.integers(150, 240))
    if kind == 0:
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=ink)
    elif kind == 1:
        d.rectangle([cx - r, cy - r, cx + r, cy + r], fill=ink)
    elif kind == 2:
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=ink)
    else:
        d.rectangle([cx - r, cy - 1, cx + r, cy + 1], fill=ink)
        d.rectangle([cx - 1, cy - r, cx + 1, cy + r], fill=ink)
    a = np.asarray(im, dtype=np.float32) / 255
    return a + rng.normal(0, 0.1, a.shape).astype(np.float32)


def shapes(n, seed):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, n)
    data = np.stack([draw_shape(k, rng) for k in target])[:, None]
    return TensorDataset((torch.from_numpy(data) - 0.3) / 0.27, torch.from_numpy(target).long())


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    optimizer.zero_grad()
    for batch_idx, (data, target) in enumerate(train_loader):
        output = model(data)
        loss = F.nll_loss(output, target) / args.accumulate
        loss.backward()
        if (batch_idx + 1) % args.accumulate == 0:
            optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item() * args.accumulate))


def test(model, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            pred = model(data).argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Shapes with small micro-batches")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--gamma", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=64)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    train_loader = DataLoader(shapes(2048, args.seed), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(shapes(600, args.seed + 100), batch_size=200)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
    print("accuracy: {:.3f}".format(test(model, test_loader)))


if __name__ == "__main__":
    main()
