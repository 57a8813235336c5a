from __future__ import print_function
import argparse
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class AttentionPool(nn.Module):
    """Pools a feature map with a few learned queries instead of a plain average."""

    def __init__(self, dim, heads=4, queries=2):
        super().__init__()
        self.heads, self.d = heads, dim // heads
        self.query = nn.Parameter(torch.randn(heads, queries, self.d) * 0.2)
        self.norm = nn.LayerNorm(dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(queries * dim, dim)

    def forward(self, fmap):
        B, C, H, W = fmap.shape
        tokens = self.norm(fmap.flatten(2).transpose(1, 2))
        kv = self.kv(tokens)
        k, v = kv.reshape(B, H * W, 2, self.heads, self.d).permute(2, 0, 3, 1, 4)
        att = (self.query @ k.transpose(-2, -1)) / math.sqrt(self.d)
        pooled = att.softmax(dim=-1) @ v
        return self.out(pooled.flatten(1))


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 48, 3, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(48)
        self.pool = AttentionPool(48)
        self.fc = nn.Linear(48, num_classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        return self.fc(F.relu(self.pool(x)))


def coloured_blobs(n, num_classes, seed, size=20):
    """One soft blob per picture; the class is given by its hue, the place is random."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % num_classes
    y = y[torch.randperm(n, generator=g)]
    hue = 2 * math.pi * (y + 0.5 * torch.rand(n, generator=g)) / num_classes
    rgb = torch.stack([0.5 + 0.4 * torch.cos(hue - s) for s in (0.0, 2.094, 4.189)], 1)
    cx = 4 + 12 * torch.rand(n, 1, 1, generator=g)
    cy = 4 + 12 * torch.rand(n, 1, 1, generator=g)
    grid = torch.arange(size).float()
    dist = (grid.view(1, 1, -1) - cx) ** 2 + (grid.view(1, -1, 1) - cy) ** 2
    blob = torch.exp(-dist / 18)
    x = blob.unsqueeze(1) * rgb.view(n, 3, 1, 1) + 0.15 * torch.randn(n, 3, size, size, generator=g)
    return x, y


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            pred = model(data).argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Blob hue example')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--num-classes', type=int, default=6)
    parser.add_argument('--log-interval', type=int, default=15)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x, y = coloured_blobs(960, args.num_classes, seed=10)
    xt, yt = coloured_blobs(320, args.num_classes, seed=20)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    train_loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=64)

    model = Net(args.num_classes)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
    print('accuracy: {:.3f}'.format(test(model, test_loader)))


if __name__ == '__main__':
    main()
