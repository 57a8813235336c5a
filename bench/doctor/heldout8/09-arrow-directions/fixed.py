"""Arrow direction classifier (8 headings), after the pytorch/examples mnist script."""
import argparse
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


def draw_arrow(heading, rng, size=32):
    img = Image.new("L", (size, size), int(rng.integers(20, 110)))
    draw = ImageDraw.Draw(img)
    angle = heading * math.pi / 4 + rng.normal(0, 0.12)
    cx, cy = size / 2 + rng.uniform(-4, 4), size / 2 + rng.uniform(-4, 4)
    half = rng.uniform(7, 10)
    dx, dy = math.cos(angle), math.sin(angle)
    tip = (cx + half * dx, cy + half * dy)
    tail = (cx - half * dx, cy - half * dy)
    ink = int(rng.integers(160, 250))
    draw.line([tail, tip], fill=ink, width=2)
    for side in (-1, 1):
        a = angle + math.pi + side * 0.6
        draw.line([tip, (tip[0] + 6 * math.cos(a), tip[1] + 6 * math.sin(a))], fill=ink, width=2)
    arr = np.asarray(img, dtype=np.float32) + rng.normal(0, 18, (size, size))
    return np.clip(arr, 0, 255) / 255.0


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 8)
    images = np.stack([draw_arrow(k, rng) for k in labels]).astype(np.float32)
    x = (torch.from_numpy(images).unsqueeze(1) - 0.3) / 0.2
    return TensorDataset(x, torch.from_numpy(labels).long())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [16, 16, 32, 32, 48, 48, 64, 64]
        strides = [1, 2, 1, 2, 1, 1, 2, 1]
        layers, c = [], 1
        for w, s in zip(widths, strides):
            layers += [nn.Conv2d(c, w, 3, s, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(inplace=True)]
            c = w
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(64 * 4 * 4, 8)

    def forward(self, x):
        x = self.features(x)
        return self.fc(torch.flatten(x, 1))


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
            print("Train Epoch: {} [{}/{}]\tLoss: {:.4f}".format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(dim=1) == target).sum().item()
    n = len(test_loader.dataset)
    print("Test set: average loss {:.4f}, correct {}/{}".format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="Arrow headings")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--test-batch-size", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(make_set(1200, 11), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(make_set(400, 12), batch_size=args.test_batch_size)

    model = Net().to(device)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=2, gamma=args.gamma)

    # sanity check of the evaluation code before spending time on training
    test(model, device, test_loader)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
