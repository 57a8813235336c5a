from __future__ import print_function
import argparse
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

NUM_CLASSES = 5


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1, 1)
        self.fc = nn.Linear(32 * 5 * 5, NUM_CLASSES)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight, nonlinearity='relu')
            nn.init.zeros_(conv.bias)
        nn.init.normal_(self.fc.weight, std=0.01)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(torch.flatten(x, 1))


def textures(n, size=20):
    """0 horizontal, 1 vertical, 2 checks, 3 rings, 4 plain with a slope"""
    r = torch.arange(size, dtype=torch.float32)
    gy, gx = torch.meshgrid(r, r, indexing='ij')
    target = torch.randint(NUM_CLASSES, (n,))
    data = torch.empty(n, 1, size, size)
    for i, t in enumerate(target.tolist()):
        w = 2 * math.pi / (4.5 + 2 * torch.rand(1).item())
        p, q = (2 * math.pi * torch.rand(2)).tolist()
        if t == 0:
            img = torch.sin(w * gy + p)
        elif t == 1:
            img = torch.sin(w * gx + p)
        elif t == 2:
            img = torch.sin(w * gx + p) * torch.sin(w * gy + q) * 1.4
        elif t == 3:
            img = torch.sin(w * torch.hypot(gx - size / 2, gy - size / 2) + p)
        else:
            img = (math.cos(p) * (gx - size / 2) + math.sin(p) * (gy - size / 2)) / 8
        data[i, 0] = img
    data += 0.6 * torch.randn_like(data)
    return (data - 0.0) / 0.92, target


def smoothed_nll(output, target, eps):
    logp = F.log_softmax(output, dim=1)
    dist = torch.full_like(logp, eps / (logp.size(1) - 1))
    dist.scatter_(1, target.unsqueeze(1), 1.0 - eps)
    return -(dist * logp).sum()


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = smoothed_nll(output, target, args.smoothing)
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
    parser = argparse.ArgumentParser(description='Texture example')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=0.01)
    parser.add_argument('--momentum', type=float, default=0.9)
    parser.add_argument('--smoothing', type=float, default=0.1)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=24)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    train_loader = DataLoader(TensorDataset(*textures(2400)), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(*textures(500)), batch_size=250)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
    print('accuracy: {:.3f}'.format(test(model, test_loader)))


if __name__ == '__main__':
    main()
