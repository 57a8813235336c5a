from __future__ import print_function
import argparse
import random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, Dataset

SPECIES = ['chanterelle', 'fly_agaric', 'puffball', 'morel', 'bolete']


def paint(species, rnd, side=32):
    im = Image.new('RGB', (side, side), tuple(rnd.randint(30, 110) for _ in range(3)))
    d = ImageDraw.Draw(im)
    for _ in range(rnd.randint(8, 16)):      # leaves and grass
        x, y = rnd.randint(0, side), rnd.randint(0, side)
        d.line([x, y, x + rnd.randint(-7, 7), y + rnd.randint(-7, 7)],
               fill=(rnd.randint(40, 190), rnd.randint(60, 170), rnd.randint(20, 90)), width=rnd.randint(1, 2))
    cx, cy = 16 + rnd.randint(-4, 4), 15 + rnd.randint(-3, 3)
    w, h = rnd.randint(7, 9), rnd.randint(4, 6)
    flesh = tuple(rnd.randint(170, 225) for _ in range(3))
    cap = (rnd.randint(120, 220), rnd.randint(60, 150), rnd.randint(30, 110))
    if species == 'puffball':
        d.ellipse([cx - w + 1, cy - w + 3, cx + w - 1, cy + w + 1], fill=cap)
        return im
    thick = 4 if species == 'bolete' else 2
    d.rectangle([cx - thick, cy, cx + thick, cy + 11], fill=flesh)
    if species == 'chanterelle':
        d.polygon([(cx - w, cy - h), (cx + w, cy - h), (cx + 2, cy + 5), (cx - 2, cy + 5)], fill=cap)
    elif species == 'morel':
        d.ellipse([cx - 5, cy - 9, cx + 5, cy + 4], fill=cap)
        for _ in range(9):
            x, y = cx + rnd.randint(-3, 3), cy + rnd.randint(-7, 2)
            d.point([(x, y), (x + 1, y)], fill=tuple(c // 2 for c in cap))
    else:
        d.pieslice([cx - w, cy - h - 2, cx + w, cy + h + 2], 180, 360, fill=cap)
        if species == 'fly_agaric':
            for _ in range(6):
                x, y = cx + rnd.randint(-5, 5), cy - rnd.randint(1, h)
                d.rectangle([x, y, x + 1, y], fill=flesh)
    return im


class Mushrooms(Dataset):
    def __init__(self, count, seed):
        rnd, noise = random.Random(seed), np.random.RandomState(seed)
        self.targets = [rnd.randrange(len(SPECIES)) for _ in range(count)]
        pics = np.stack([np.asarray(paint(SPECIES[t], rnd), dtype=np.float32) for t in self.targets]) / 255.
        pics += noise.normal(0, 0.06, pics.shape).astype(np.float32)
        self.data = torch.from_numpy(pics).permute(0, 3, 1, 2).contiguous()
        self.data = (self.data - 0.4) / 0.22

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.data[i], self.targets[i]


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super(Block, self).__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity() if stride == 1 and cin == cout else nn.Conv2d(cin, cout, 1, stride, bias=False)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.short(x))


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.blocks = nn.Sequential(Block(12, 12, 1), Block(12, 24, 2), Block(24, 48, 2))
        self.fc = nn.Linear(48, len(SPECIES))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode='fan_out', nonlinearity='relu')
        # recipe of Goyal et al. 2017
        for m in self.modules():
            if isinstance(m, Block):
                nn.init.zeros_(m.bn2.weight)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def train(args, model, device, train_loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, batch_idx * args.batch_size, len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction='sum').item()
            correct += (output.argmax(dim=1) == target).sum().item()
    n = len(test_loader.dataset)
    print('\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.1f}%)\n'.format(test_loss / n, correct, n, 100. * correct / n))


def main():
    parser = argparse.ArgumentParser(description='PyTorch mushroom example')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--epochs', type=int, default=8)
    parser.add_argument('--lr', type=float, default=5e-3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    train_loader = DataLoader(Mushrooms(2000, seed=10), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(Mushrooms(600, seed=20), batch_size=200)
    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.epochs * len(train_loader))
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, scheduler, epoch)
    test(model, device, test_loader)


if __name__ == '__main__':
    main()
