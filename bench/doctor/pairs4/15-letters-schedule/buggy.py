"""Train a LeNet-like network on rendered capital letters.

    python letters.py [--epochs N] [--lr LR] ...
"""
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

ALPHABET = "AEHKMRSX"


class Letters(Dataset):
    def __init__(self, count, seed):
        rnd = random.Random(seed)
        noise = np.random.default_rng(seed)
        self.pixels, self.targets = [], []
        for i in range(count):
            target = i % len(ALPHABET)
            font = ImageFont.load_default(size=rnd.randint(14, 20))
            canvas = Image.new("L", (28, 28), 0)
            ImageDraw.Draw(canvas).text((rnd.randint(4, 10), rnd.randint(1, 6)), ALPHABET[target],
                                        fill=rnd.randint(120, 255), font=font)
            canvas = canvas.rotate(rnd.uniform(-20, 20), Image.Resampling.BILINEAR)
            a = np.asarray(canvas, dtype=np.float32) / 255 + noise.normal(0, 0.25, (28, 28))
            self.pixels.append(torch.from_numpy((a - 0.04) / 0.29).float()[None])
            self.targets.append(target)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.pixels[index], self.targets[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 24, 5)
        self.fc1 = nn.Linear(24 * 4 * 4, 64)
        self.drop = nn.Dropout(0.2)
        self.fc2 = nn.Linear(64, len(ALPHABET))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.drop(F.relu(self.fc1(x.flatten(1))))
        return self.fc2(x)


def schedule(optimizer, args, steps_per_epoch):
    total = args.epochs * steps_per_epoch
    warm = args.warmup_pct * total

    def factor(step):
        ramp = min(1.0, (step + 1) / warm)
        return ramp * (1 - 0.9 * step / total)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def train(args, model, loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print(f"Train Epoch: {epoch} [{batch_idx}/{len(loader)}]\tLoss: {loss.item():.4f}")


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            correct += (model(data).argmax(1) == target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="letters")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--warmup-pct", type=float, default=10.0, help="share of the run spent warming up")
    parser.add_argument("--log-interval", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_loader = DataLoader(Letters(1920, args.seed), args.batch_size, shuffle=True)
    test_loader = DataLoader(Letters(480, args.seed + 1000), 120)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = schedule(optimizer, args, len(train_loader))
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, scheduler, epoch)
    print(f"accuracy: {test(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
