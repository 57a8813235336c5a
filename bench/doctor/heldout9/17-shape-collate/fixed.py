from __future__ import print_function
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

NAMES = ["disc", "ring", "square", "frame", "triangle", "plus", "star", "bar"]
SIZE = 32


def polygon(cx, cy, radii, turn):
    n = len(radii)
    return [(cx + r * math.cos(turn + 2 * math.pi * i / n),
             cy + r * math.sin(turn + 2 * math.pi * i / n)) for i, r in enumerate(radii)]


def draw_shape(kind, rng):
    back = int(rng.integers(20, 110))
    ink = back + int(rng.integers(60, 130))
    im = Image.new("L", (SIZE * 2, SIZE * 2), back)
    d = ImageDraw.Draw(im)
    cx, cy = rng.uniform(26, 38, 2)
    r = rng.uniform(15, 22)
    turn = -math.pi / 2 + rng.uniform(-0.3, 0.3)
    if kind == 0:
        d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=ink)
    elif kind == 1:
        d.ellipse((cx - r, cy - r, cx + r, cy + r), outline=ink, width=7)
    elif kind == 2:
        d.polygon(polygon(cx, cy, [r] * 4, turn), fill=ink)
    elif kind == 3:
        d.polygon(polygon(cx, cy, [r] * 4, turn), fill=ink)
        d.polygon(polygon(cx, cy, [r * 0.6] * 4, turn), fill=back)
    elif kind == 4:
        d.polygon(polygon(cx, cy, [r] * 3, turn), fill=ink)
    elif kind == 5:
        for extra in (0, math.pi / 2):
            dx, dy = r * math.cos(turn + extra), r * math.sin(turn + extra)
            d.line((cx - dx, cy - dy, cx + dx, cy + dy), fill=ink, width=9)
    elif kind == 6:
        d.polygon(polygon(cx, cy, [r, r * 0.42] * 5, turn), fill=ink)
    else:
        dx, dy = r * math.cos(turn), r * math.sin(turn)
        d.line((cx - dx, cy - dy, cx + dx, cy + dy), fill=ink, width=9)
    im = im.resize((SIZE, SIZE), Image.BILINEAR)
    out = np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, 0.03, (SIZE, SIZE))
    return (out.astype(np.float32) - 0.4) / 0.2


def make_set(per_class, seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(NAMES)), per_class)
    images = np.stack([draw_shape(k, rng) for k in labels])
    return TensorDataset(torch.from_numpy(images)[:, None], torch.from_numpy(labels))


def batch_with_jitter(samples):
    """Stack the samples and augment the whole batch at once (faster than per image)."""
    images = torch.stack([s[0] for s in samples])
    labels = torch.stack([s[1] for s in samples])
    n = len(images)
    angle = (torch.rand(n) - 0.5) * 0.6
    zoom = 0.85 + 0.5 * torch.rand(n)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.cos(angle) * zoom
    theta[:, 0, 1] = -torch.sin(angle) * zoom
    theta[:, 1, 0] = torch.sin(angle) * zoom
    theta[:, :, 2] = (torch.rand(n, 2) - 0.5) * 0.3
    grid = F.affine_grid(theta, images.shape, align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    hole = SIZE // 2
    for image in images:
        y, x = torch.randint(0, SIZE - hole + 1, (2,)).tolist()
        image[:, y:y + hole, x:x + hole] = 0.0
    return images, labels


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.fc1 = nn.Linear(64 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, len(NAMES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(test_loader.dataset)
    print('Test set: average loss {:.4f}, {}/{} right'.format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description='PyTorch shapes example')
    parser.add_argument('--batch-size', type=int, default=50)
    parser.add_argument('--test-batch-size', type=int, default=200)
    parser.add_argument('--epochs', type=int, default=6)
    parser.add_argument('--lr', type=float, default=0.02)
    parser.add_argument('--gamma', type=float, default=0.5)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=16)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    train_kwargs = {'batch_size': args.batch_size, 'shuffle': True,
                    'collate_fn': batch_with_jitter}
    test_kwargs = {'batch_size': args.test_batch_size}
    loader_kwargs = {'num_workers': 0, 'pin_memory': device.type == "cuda"}
    train_kwargs.update(loader_kwargs)
    test_kwargs.update(loader_kwargs)

    train_loader = DataLoader(make_set(200, seed=10), **train_kwargs)
    test_loader = DataLoader(make_set(50, seed=11), **test_kwargs)

    model = Net().to(device)
    optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    scheduler = StepLR(optimizer, step_size=2, gamma=args.gamma)
    accuracy = 0.0
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        accuracy = test(model, device, test_loader)
        scheduler.step()
    print('accuracy: {:.3f}'.format(accuracy))


if __name__ == '__main__':
    main()
