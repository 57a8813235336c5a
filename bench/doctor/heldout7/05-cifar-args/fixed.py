import argparse
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self, keep):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.drop = nn.Dropout(1 - keep)
        self.fc1 = nn.Linear(64 * 4 * 4, 96)
        self.fc2 = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        x = self.drop(torch.flatten(x, 1))
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


def load_cifar(n_train, n_test):
    root = os.path.join(os.environ.get("TENFOLD_DATA", ""), "cifar10", "cifar-10-batches-bin")
    if os.path.isfile(os.path.join(root, "data_batch_1.bin")):
        def read(name, n):
            raw = np.fromfile(os.path.join(root, name), np.uint8, count=n * 3073).reshape(n, 3073)
            return raw[:, 1:].reshape(n, 3, 32, 32), raw[:, 0].astype(np.int64)
        (xa, ya), (xb, yb) = read("data_batch_1.bin", n_train), read("test_batch.bin", n_test)
    else:
        rng = np.random.default_rng(0)
        coarse = rng.uniform(60, 190, (10, 3, 4, 4))

        def fake(n):
            y = rng.integers(0, 10, n)
            x = np.kron(coarse[y] + rng.normal(0, 25, (n, 3, 4, 4)), np.ones((1, 1, 8, 8)))
            return np.clip(x + rng.normal(0, 25, x.shape), 0, 255).astype(np.uint8), y
        (xa, ya), (xb, yb) = fake(n_train), fake(n_test)
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
    std = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)
    norm = lambda a: (torch.from_numpy(a.astype(np.float32)) / 255 - mean) / std
    return norm(xa), torch.from_numpy(ya), norm(xb), torch.from_numpy(yb)


def train(args, model, device, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        flip = torch.rand(len(data), device=device) < 0.5
        data = torch.where(flip[:, None, None, None], data.flip(3), data)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.4f}".format(
                epoch, batch_idx * len(data), len(loader.dataset), loss.item()))


def test(model, device, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += output.argmax(1).eq(target).sum().item()
    n = len(loader.dataset)
    print("Test set: average loss: {:.4f}".format(test_loss / n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="Small CIFAR-10 slice")
    parser.add_argument("--train-images", type=int, default=2000)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--gamma", type=float, default=0.8)
    parser.add_argument("--keep", type=float, default=0.85)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=25)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    xa, ya, xb, yb = load_cifar(args.train_images, args.test_images)
    train_loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(xa, ya), batch_size=args.batch_size, shuffle=True)
    test_loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(xb, yb), batch_size=250)

    model = Net(args.keep).to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
