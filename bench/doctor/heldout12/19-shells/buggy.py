from __future__ import print_function

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from scipy import ndimage
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

SIDE = 28


def draw_shell(rng, kind):
    """A shell on sand, apex up, as photographed for the collection."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float) - (SIDE - 1) / 2
    w, h = rng.uniform(5.0, 7.0), rng.uniform(7.5, 9.5)
    t = np.clip((y + h) / (2 * h), 0, 1)
    if kind == 0:       # cone
        half = w * t
    elif kind == 1:     # spindle
        half = w * np.sin(np.pi * t)
    elif kind == 2:     # drop
        half = w * np.sqrt(t) * (1 - 0.7 * t ** 4)
    elif kind == 3:     # razor
        half = 0.5 * w * np.ones_like(t)
    else:               # helmet
        half = w * np.minimum(1, 2.2 * t) ** 0.5
    inside = (np.abs(x) < half) & (np.abs(y) < h)
    bands = 1 + 0.25 * np.sin(y * rng.uniform(0.8, 2.0) + rng.uniform(0, 6))
    im = ndimage.gaussian_filter(inside * bands, 0.7)
    im = im * rng.uniform(0.5, 1.0) + rng.uniform(0, 0.3)
    return im + rng.normal(0, 0.1, im.shape)


def turn(rng, im):
    im = ndimage.rotate(im, rng.uniform(0, 360), reshape=False, order=1, mode="nearest")
    return ndimage.shift(im, rng.uniform(-3, 3, 2), order=1, mode="nearest")


class Shells(Dataset):
    """Training: upright catalogue photos, turned and moved anew at each fetch.
    Evaluation (beach=True): photos of shells as they lie, used as they are.

    The random numbers depend on seed, epoch and index only, so that a run can be
    repeated exactly whatever the number of workers.
    """

    def __init__(self, n, seed, beach=False, mean=None, std=None):
        rng = np.random.default_rng(seed)
        self.seed, self.epoch, self.beach = seed, 0, beach
        self.labels = rng.permutation(np.arange(n) % 5)
        self.images = [draw_shell(rng, k) for k in self.labels]
        if beach:
            self.images = [turn(rng, im) for im in self.images]
        self.mean = np.mean(self.images) if mean is None else mean
        self.std = np.std(self.images) if std is None else std

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        im = self.images[i]
        if not self.beach:
            im = turn(np.random.default_rng((self.seed, self.epoch, i)), im)
        x = torch.tensor((im - self.mean) / self.std, dtype=torch.float32)
        return x.unsqueeze(0), int(self.labels[i])


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * 3 * 3, 64)
        self.fc2 = nn.Linear(64, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def train(args, model, loader, optimizer, epoch):
    model.train()
    total, correct = 0.0, 0
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.cross_entropy(output, target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
        correct += (output.argmax(1) == target).sum().item()
    n = len(loader.dataset)
    if epoch % args.log_interval == 0:
        print("Train Epoch: {}\tLoss: {:.4f}\tAccuracy: {:.3f}".format(epoch, total / n, correct / n))


def test(model, loader):
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(1) == target).sum().item()
    n = len(loader.dataset)
    return loss / n, correct / n


def main():
    parser = argparse.ArgumentParser(description="Shells on the beach")
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=3)
    args = parser.parse_args([])

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    train_set = Shells(400, seed=100 + args.seed)
    stats = dict(mean=train_set.mean, std=train_set.std)
    val_set = Shells(300, seed=200 + args.seed, beach=True, **stats)
    test_set = Shells(500, seed=300 + args.seed, beach=True, **stats)
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True,
                              num_workers=args.workers, persistent_workers=True)
    val_loader = DataLoader(val_set, 100)
    test_loader = DataLoader(test_set, 100)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
    best, state = -1.0, None
    for epoch in range(1, args.epochs + 1):
        train_set.set_epoch(epoch)
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
        if epoch % args.log_interval == 0:
            val_loss, val_acc = test(model, val_loader)
            print("Validation\tLoss: {:.4f}\tAccuracy: {:.3f}".format(val_loss, val_acc))
            if val_acc > best:
                best, state = val_acc, {k: v.clone() for k, v in model.state_dict().items()}

    model.load_state_dict(state)
    print("Test accuracy: {:.4f}".format(test(model, test_loader)[1]))


if __name__ == "__main__":
    main()
