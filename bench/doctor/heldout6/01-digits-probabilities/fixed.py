import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

SEGMENTS = {
    0: "abcdef", 1: "bc", 2: "abged", 3: "abgcd", 4: "fgbc",
    5: "afgcd", 6: "afgedc", 7: "abc", 8: "abcdefg", 9: "abcdfg",
}


def draw_digit(digit, rng, size=28):
    img = Image.new("L", (size, size), int(rng.integers(0, 60)))
    pen = ImageDraw.Draw(img)
    w, h = rng.integers(8, 13), rng.integers(14, 20)
    x0, y0 = rng.integers(2, size - w - 2), rng.integers(2, size - h - 2)
    x1, y1, ym = x0 + w, y0 + h, y0 + h // 2
    lines = {
        "a": (x0, y0, x1, y0), "b": (x1, y0, x1, ym), "c": (x1, ym, x1, y1),
        "d": (x0, y1, x1, y1), "e": (x0, ym, x0, y1), "f": (x0, y0, x0, ym),
        "g": (x0, ym, x1, ym),
    }
    ink = int(rng.integers(150, 256))
    for s in SEGMENTS[digit]:
        pen.line([int(v) for v in lines[s]], fill=ink, width=int(rng.integers(1, 4)))
    a = np.asarray(img, dtype=np.float32) + rng.normal(0, 18, (size, size))
    return np.clip(a, 0, 255) / 255.0


def make_digits(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.stack([draw_digit(int(d), rng) for d in labels]).astype(np.float32)
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = self.dropout(F.relu(self.fc1(x)))
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
            confidence = output.detach().softmax(dim=1).max(dim=1).values.mean().item()
            print("Train Epoch: {} [{}/{}]\tLoss: {:.4f}\tConfidence: {:.3f}".format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item(), confidence))


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
    print("Test set: average loss {:.4f}, {}/{} correct".format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="Seven-segment digits")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--test-batch-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    x_train, y_train = make_digits(2000, seed=args.seed)
    x_test, y_test = make_digits(500, seed=args.seed + 1000)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=args.test_batch_size)

    model = Net().to(device)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    scheduler = StepLR(optimizer, step_size=3, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
