import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Settings:
    root: Path = Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"
    keep: tuple = (1, 6, 8)          # automobile, frog, ship
    train_per_class: int = 700
    held_out_per_class: int = 200
    crop: int = 28
    batch: int = 64
    epochs: int = 5
    max_lr: float = 0.06
    seed: int = 5


def read_batch(path, keep, per_class):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    rows = np.concatenate([np.flatnonzero(raw[:, 0] == c)[:per_class] for c in keep])
    pixels = raw[rows, 1:].reshape(-1, 3, 32, 32)
    targets = np.searchsorted(np.array(keep), raw[rows, 0])
    return pixels, targets


class Views(Dataset):
    """uint8 pixels in, normalised crops out. Random window and mirror when augment is set, centre otherwise."""
    MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)

    def __init__(self, pixels, targets, augment=False, crop=32):
        self.pixels, self.targets = torch.from_numpy(pixels), torch.from_numpy(targets)
        self.augment, self.crop = augment, crop

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, n):
        image = (self.pixels[n].float() / 255 - self.MEAN) / self.STD
        room = image.shape[-1] - self.crop
        if self.augment:
            top, left = (int(torch.randint(room + 1, ())) for _ in range(2))
        else:
            top = left = room // 2
        image = image[:, top:top + self.crop, left:left + self.crop]
        if self.augment and torch.rand(()) < 0.5:
            image = image.flip(2)
        return image, self.targets[n]


class PlainNet(nn.Module):
    def __init__(self, side, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * (side // 4) ** 2, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.pool(torch.relu(self.bn2(self.conv2(x))))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def accuracy(net, loader):
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += int((net(x).argmax(1) == y).sum())
    return right / len(loader.dataset)


def held_out(s: Settings, name):
    pixels, targets = read_batch(s.root / name, s.keep, s.held_out_per_class)
    return DataLoader(Views(pixels, targets, crop=s.crop), batch_size=100)


def train(s: Settings):
    torch.manual_seed(s.seed)
    train_set = Views(*read_batch(s.root / "data_batch_1.bin", s.keep, s.train_per_class), augment=True, crop=s.crop)
    train_loader = DataLoader(train_set, s.batch, shuffle=True, drop_last=True)
    val_loader, test_loader = held_out(s, "data_batch_2.bin"), held_out(s, "test_batch.bin")

    net = PlainNet(s.crop, len(s.keep))
    optimizer = torch.optim.SGD(net.parameters(), lr=s.max_lr, momentum=0.9)
    policy = torch.optim.lr_scheduler.OneCycleLR(optimizer, s.max_lr, total_steps=s.epochs * len(train_loader))
    for epoch in range(s.epochs):
        net.train()
        losses = []
        for x, y in train_loader:
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            policy.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}  val {accuracy(net, val_loader):.3f}")
    return accuracy(net, test_loader)


if __name__ == "__main__":
    print(f"accuracy {train(Settings()):.4f}")
