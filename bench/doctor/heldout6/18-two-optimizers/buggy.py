import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

#  segment order: top, upper-left, upper-right, middle, lower-left, lower-right, bottom
SEGMENTS = ["1110111", "0010010", "1011101", "1011011", "0111010",
            "1101011", "1101111", "1010010", "1111111", "1111011"]


class SegmentDigits(Dataset):
    """Seven-segment digits at random places, with noise and uneven brightness."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.targets = torch.randint(0, 10, (n,), generator=g)
        self.data = torch.stack([self.draw(int(t), g) for t in self.targets])

    @staticmethod
    def draw(digit, g):
        img = torch.zeros(24, 24)
        h = int(torch.randint(6, 9, (1,), generator=g))
        w = int(torch.randint(7, 11, (1,), generator=g))
        top = int(torch.randint(0, 24 - 2 * h - 2, (1,), generator=g))
        left = int(torch.randint(1, 24 - w - 2, (1,), generator=g))
        mid, bot, right = top + h, top + 2 * h, left + w
        places = [(slice(top, top + 2), slice(left, right + 2)),
                  (slice(top, mid + 2), slice(left, left + 2)),
                  (slice(top, mid + 2), slice(right, right + 2)),
                  (slice(mid, mid + 2), slice(left, right + 2)),
                  (slice(mid, bot + 2), slice(left, left + 2)),
                  (slice(mid, bot + 2), slice(right, right + 2)),
                  (slice(bot, bot + 2), slice(left, right + 2))]
        for on, (rows, cols) in zip(SEGMENTS[digit], places):
            if on == "1":
                img[rows, cols] = 0.6 + 0.4 * torch.rand(1, generator=g)
        img += 0.15 * torch.randn(24, 24, generator=g)
        return ((img.clamp(0, 1) - 0.22) / 0.3).unsqueeze(0)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.data[i], self.targets[i]


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        return torch.flatten(x, 1)


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(32 * 6 * 6, 96)
        self.dropout = nn.Dropout(0.2)
        self.fc2 = nn.Linear(96, 10)

    def forward(self, x):
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


def train(args, body, head, device, train_loader, body_optimizer, head_optimizer, epoch):
    body.train()
    head.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        head_optimizer.zero_grad()
        output = head(body(data))
        loss = F.cross_entropy(output, target)
        loss.backward()
        body_optimizer.step()
        head_optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(body, head, device, test_loader):
    body.eval()
    head.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = head(body(data))
            test_loss += F.cross_entropy(output, target, reduction='sum').item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(test_loader.dataset)
    print('Test set: Average loss: {:.4f}, Accuracy: {}/{}'.format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description='Seven-segment digits')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--test-batch-size', type=int, default=200)
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--body-lr', type=float, default=0.03)
    parser.add_argument('--head-lr', type=float, default=0.001)
    parser.add_argument('--gamma', type=float, default=0.7)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=15)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    train_loader = DataLoader(SegmentDigits(1500, seed=100), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(SegmentDigits(400, seed=200), batch_size=args.test_batch_size)

    body, head = Body().to(device), Head().to(device)
    body_optimizer = optim.SGD(body.parameters(), lr=args.body_lr, momentum=0.9)
    head_optimizer = optim.Adam(head.parameters(), lr=args.head_lr)
    schedulers = [StepLR(o, step_size=2, gamma=args.gamma) for o in (body_optimizer, head_optimizer)]

    accuracy = 0.0
    for epoch in range(1, args.epochs + 1):
        train(args, body, head, device, train_loader, body_optimizer, head_optimizer, epoch)
        accuracy = test(body, head, device, test_loader)
        for scheduler in schedulers:
            scheduler.step()
    print('accuracy: {:.3f}'.format(accuracy))


if __name__ == '__main__':
    main()
