import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

# strokes on a 4 x 6 grid: (x0, y0, x1, y1)
RUNES = {
    "fehu": [(1, 0, 1, 6), (1, 3, 4, 0), (1, 5, 4, 2)],
    "thurs": [(1, 0, 1, 6), (1, 1, 3, 3), (3, 3, 1, 5)],
    "raido": [(1, 0, 1, 6), (1, 0, 3, 1.5), (3, 1.5, 1, 3), (1, 3, 3, 6)],
    "kaun": [(1, 0, 1, 6), (1, 3, 4, 1)],
    "hagal": [(2, 0, 2, 6), (0.5, 1.5, 3.5, 4.5), (3.5, 1.5, 0.5, 4.5)],
    "naud": [(2, 0, 2, 6), (0.8, 2, 3.2, 4)],
    "tyr": [(2, 0, 2, 6), (2, 0, 0.5, 2), (2, 0, 3.5, 2)],
    "madr": [(2, 0, 2, 6), (0.5, 0, 2, 3), (3.5, 0, 2, 3)],
}
NAMES = sorted(RUNES)


def carve(name, rng, side=32):
    """An upright rubbing of one rune: light strokes on dark stone."""
    s = 4
    im = Image.new("L", (side * s, side * s), 0)
    d = ImageDraw.Draw(im)
    width = int(rng.integers(7, 13))
    k = side * s / 10
    for x0, y0, x1, y1 in RUNES[name]:
        j = rng.normal(0, 0.12, 4)
        d.line([(3 + x0 + j[0]) * k, (2 + y0 + j[1]) * k, (3 + x1 + j[2]) * k, (2 + y1 + j[3]) * k],
               fill=255, width=width)
    return im.resize((side, side), Image.BILINEAR)


def handheld(im, rng):
    """Rotation, zoom, shift, light and grain of a picture taken by hand."""
    side = im.size[0]
    ang, zoom = np.deg2rad(rng.uniform(-40, 40)), rng.uniform(0.85, 1.5)
    c, s = np.cos(ang) * zoom, np.sin(ang) * zoom
    mid = side / 2
    dx, dy = rng.uniform(-4, 4, 2)
    m = (c, -s, mid - c * (mid + dx) + s * (mid + dy), s, c, mid - s * (mid + dx) - c * (mid + dy))
    a = np.asarray(im.transform(im.size, Image.AFFINE, m, Image.BILINEAR), dtype=np.float32) / 255
    light = rng.uniform(0.35, 1.0)
    return a * light + rng.uniform(0, 0.3) + rng.normal(0, 0.1, a.shape).astype(np.float32)


class Rubbings(Dataset):
    """Upright rubbings, turned into photographs on the fly; repeatable for a given seed and epoch."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.seed, self.epoch = seed, 0
        self.targets = np.arange(n) % len(NAMES)
        self.images = [carve(NAMES[t], rng) for t in self.targets]

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        photo = handheld(self.images[index], rng)
        return torch.from_numpy(photo).float()[None].sub(0.25).div(0.25), int(self.targets[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(48)
        self.fc1 = nn.Linear(48 * 16, 96)
        self.fc2 = nn.Linear(96, len(NAMES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    total = 0.0
    for data, target in train_loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % args.log_interval == 0:
        print("Train Epoch: {}\tLoss: {:.6f}".format(epoch, total / len(train_loader)))


def test(model, device, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            correct += (model(data).argmax(dim=1) == target).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Rune reading")
    parser.add_argument("--train-images", type=int, default=320)
    parser.add_argument("--test-images", type=int, default=480)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--gamma", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=3)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    train_set = Rubbings(args.train_images, seed=100 + args.seed)
    test_set = Rubbings(args.test_images, seed=200 + args.seed)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=128)

    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=11, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        scheduler.step()

    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
