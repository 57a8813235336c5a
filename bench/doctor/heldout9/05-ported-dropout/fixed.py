from __future__ import print_function
import argparse
import random
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

#      segments: top, upper left, upper right, middle, lower left, lower right, bottom
DIGITS = ["1110111", "0010010", "1011101", "1011011", "0111010",
          "1101011", "1101111", "1010010", "1111111", "1111011"]


def seven_segment(digit, rnd):
    img = torch.zeros(28, 28)
    h, w = rnd.randint(7, 9), rnd.randint(8, 11)
    t = rnd.randint(2, 3)
    top, left = rnd.randint(2, 27 - 2 * h - t), rnd.randint(2, 26 - w - t)
    boxes = [(top, left, t, w + t), (top, left, h + t, t), (top, left + w, h + t, t),
             (top + h, left, t, w + t), (top + h, left, h + t, t),
             (top + h, left + w, h + t, t), (top + 2 * h, left, t, w + t)]
    for on, (r, c, dr, dc) in zip(DIGITS[digit], boxes):
        level = rnd.uniform(0.55, 1.0) if on == "1" else rnd.uniform(0.0, 0.15)
        img[r:r + dr, c:c + dc] = torch.clamp(img[r:r + dr, c:c + dc], min=level)
    return img


def make_digits(n, seed):
    rnd = random.Random(seed)
    gen = torch.Generator().manual_seed(seed)
    labels = [rnd.randrange(10) for _ in range(n)]
    images = torch.stack([seven_segment(d, rnd) for d in labels])
    images = images + 0.22 * torch.randn(images.shape, generator=gen)
    images = (images.unsqueeze(1) - 0.2) / 0.37
    return TensorDataset(images, torch.tensor(labels))


class Net(nn.Module):
    """Same layout as our TensorFlow graph: conv-pool-drop twice, then one hidden layer."""

    def __init__(self, keep_prob):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.drop_conv = nn.Dropout(1 - keep_prob)
        self.fc1 = nn.Linear(32 * 5 * 5, 64)
        self.drop_fc = nn.Dropout(1 - keep_prob)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = self.drop_conv(torch.flatten(x, 1))
        x = self.drop_fc(F.relu(self.fc1(x)))
        return self.fc2(x)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction='sum').item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    test_loss /= len(test_loader.dataset)
    print('Test set: average loss {:.4f}'.format(test_loss))
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Seven-segment digits')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--lr', type=float, default=0.04)
    parser.add_argument('--gamma', type=float, default=0.75)
    parser.add_argument('--keep-prob', type=float, default=0.9)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(make_digits(1600, 100), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(make_digits(500, 200), batch_size=250)

    model = Net(args.keep_prob).to(device)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print('accuracy: {:.3f}'.format(test(model, device, test_loader)))


if __name__ == '__main__':
    main()
