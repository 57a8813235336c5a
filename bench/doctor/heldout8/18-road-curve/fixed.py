import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw, ImageOps
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

COMMANDS = ["sharp_left", "left", "straight", "right", "sharp_right"]


def render_road(rng, command, size=40):
    """View over the bonnet: a road that bends with the wanted steering command."""
    img = Image.new("RGB", (size, size))
    d = ImageDraw.Draw(img)
    horizon = int(size * rng.uniform(0.30, 0.42))
    d.rectangle([0, 0, size, horizon], fill=(130 + int(rng.integers(60)), 160 + int(rng.integers(50)), 220))
    d.rectangle([0, horizon, size, size], fill=(60 + int(rng.integers(60)), 110 + int(rng.integers(60)), 50))
    bend = (command - 2) * 7.5 + rng.uniform(-1.8, 1.8)
    start = size / 2 + rng.uniform(-4, 4)
    lean = rng.uniform(-3, 3)
    left, right, mid = [], [], []
    for t in np.linspace(0, 1, 14):
        y = size - t * (size - horizon)
        x = start + lean * t + bend * t * t
        half = 11 * (1 - t) + 1.5
        left.append((x - half, y))
        right.append((x + half, y))
        mid.append((x, y))
    grey = int(rng.integers(70, 120))
    d.polygon(left + right[::-1], fill=(grey, grey, grey))
    for a, b in list(zip(mid, mid[1:]))[::2]:
        d.line([a, b], fill=(230, 230, 200), width=1)
    for _ in range(int(rng.integers(2, 6))):
        x, y = int(rng.integers(0, size)), int(rng.integers(horizon - 4, horizon + 4))
        d.ellipse([x - 3, y - 4, x + 3, y + 3], fill=(30, 70 + int(rng.integers(40)), 30))
    return img


class SteeringDataset(Dataset):
    def __init__(self, n, seed, train):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % len(COMMANDS))
        self.images = [render_road(rng, int(c)) for c in self.labels]
        self.train = train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image, label = self.images[index], int(self.labels[index])
        if self.train:
            if torch.rand(1).item() < 0.5:
                image = ImageOps.mirror(image)
                label = len(COMMANDS) - 1 - label
            gain = 0.75 + 0.5 * torch.rand(1).item()
            image = image.point(lambda v: min(255, int(v * gain)))
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (x - 0.45) / 0.22, label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2)
        self.conv3 = nn.Conv2d(32, 48, 3)
        self.fc1 = nn.Linear(48 * 6 * 6, 64)
        self.drop = nn.Dropout(0.2)
        self.fc2 = nn.Linear(64, len(COMMANDS))

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        x = torch.flatten(x, 1)
        x = self.drop(F.relu(self.fc1(x)))
        return self.fc2(x)


def train(args, model, device, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print(f"Train Epoch: {epoch} [{batch_idx * len(data)}/{len(loader.dataset)}]\tLoss: {loss.item():.4f}")


def test(model, device, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(1) == target).sum().item()
    n = len(loader.dataset)
    print(f"Test set: average loss {test_loss / n:.4f}")
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="steering command from a camera image")
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--test-batch-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(SteeringDataset(1600, args.seed, True), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(SteeringDataset(400, args.seed + 100, False), batch_size=args.test_batch_size)

    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()
    print(f"accuracy: {test(model, device, test_loader):.3f}")


if __name__ == "__main__":
    main()
