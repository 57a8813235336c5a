from __future__ import print_function

import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def conv(inp, out, k=3, stride=1, groups=1):
    return nn.Conv2d(inp, out, k, stride, k // 2, groups=groups)


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise 1x1 with a skip around both."""

    def __init__(self, inp, out, stride):
        super(Separable, self).__init__()
        self.dw = conv(inp, inp, stride=stride, groups=inp)
        self.bn1 = nn.BatchNorm2d(inp)
        self.pw = conv(inp, out, k=1)
        self.bn2 = nn.BatchNorm2d(out)
        if stride != 1 or inp != out:
            self.skip = nn.Sequential(conv(inp, out, k=1, stride=stride), nn.BatchNorm2d(out))
        else:
            self.skip = nn.Identity()

    def forward(self, x):
        h = F.relu(self.bn1(self.dw(x)))
        h = self.bn2(self.pw(h))
        return F.relu(h + self.skip(x))


class Net(nn.Module):
    def __init__(self, classes):
        super(Net, self).__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.body = nn.Sequential(
            Separable(16, 24, 2),
            Separable(24, 24, 1),
            Separable(24, 48, 2),
            Separable(48, 64, 2),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        x = self.body(x)
        x = F.adaptive_avg_pool2d(x, 1)
        x = torch.flatten(x, 1)
        return self.head(x)


WEAVES = ("warp", "weft", "twill", "check", "dots", "plain")


def cloth(n, gen):
    """n swatches of 32x32 and the number of their weave."""
    yy, xx = torch.meshgrid(torch.arange(32.), torch.arange(32.), indexing="ij")
    y = torch.randint(len(WEAVES), (n,), generator=gen)
    out = torch.empty(n, 3, 32, 32)
    for i in range(n):
        r = torch.rand(8, generator=gen)
        w = 2 * math.pi / (4 + 4 * r[0])
        px, py = 6.28 * r[1], 6.28 * r[2]
        sx, sy = torch.sin(w * xx + px), torch.sin(w * yy + py)
        kind = WEAVES[y[i]]
        if kind == "warp":
            p = sx
        elif kind == "weft":
            p = sy
        elif kind == "twill":
            p = torch.sin(w * (xx + yy) * 0.7 + px)
        elif kind == "check":
            p = sx * sy
        elif kind == "dots":
            p = 2 * ((sx > 0.3) & (sy > 0.3)).float() - 0.5
        else:
            p = 0.7 * torch.randn(32, 32, generator=gen)
        dye = torch.rand(3, 1, 1, generator=gen)
        amp = 0.06 + 0.12 * r[3]
        out[i] = dye * 0.6 + 0.2 + amp * p + 0.11 * torch.randn(3, 32, 32, generator=gen)
    return out.clamp(0, 1), y


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
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            pred = model(data).argmax(dim=1)
            correct += pred.eq(target).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Weave classifier')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--epochs', type=int, default=5)
    parser.add_argument('--lr', type=float, default=0.01)
    parser.add_argument('--seed', type=int, default=5)
    parser.add_argument('--log-interval', type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    gen = torch.Generator().manual_seed(args.seed)
    x, y = cloth(1250, gen)
    x = (x - 0.5) / 0.22
    train_loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(x[1000:], y[1000:]), batch_size=125)

    model = Net(len(WEAVES)).to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train_loader))
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, scheduler, epoch)
    print('accuracy: {:.3f}'.format(test(model, device, test_loader)))


if __name__ == '__main__':
    main()
