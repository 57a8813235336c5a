"""House-number-like digits kept in a MATLAB file, read back as in the original benchmark."""
import os
import random
import tempfile

import numpy as np
import scipy.io
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

DIGITS = "12345"


def plate(ch, rng):
    ground = tuple(rng.randint(20, 110) for _ in range(3))
    img = Image.new("RGB", (24, 24), ground)
    font = ImageFont.load_default(size=rng.randint(14, 19))
    place = (12 + rng.randint(-3, 3), 12 + rng.randint(-3, 3))
    ImageDraw.Draw(img).text(place, ch, fill=tuple(rng.randint(150, 255) for _ in range(3)), font=font, anchor="mm")
    return np.asarray(img)


def write_mat(path, each, seed):
    rng, g = random.Random(seed), np.random.default_rng(seed)
    y = np.tile(np.arange(1, len(DIGITS) + 1), each)
    x = np.stack([plate(DIGITS[k - 1], rng) for k in y]) + g.normal(0, 15, (len(y), 24, 24, 3))
    x = x.clip(0, 255).astype(np.uint8)
    scipy.io.savemat(path, {"X": x.transpose(1, 2, 3, 0), "y": y.reshape(-1, 1)})


class MatDigits(Dataset):
    """X: height x width x 3 x N, y: N x 1 with labels counted from one."""

    def __init__(self, path, stats=None):
        mat = scipy.io.loadmat(path)
        self.x = torch.from_numpy(mat["X"].transpose(3, 2, 0, 1).astype(np.float32)).contiguous()
        self.y = torch.from_numpy(mat["y"].astype(np.int64))
        self.stats = stats or (self.x.mean((0, 2, 3)).view(3, 1, 1), self.x.std((0, 2, 3)).view(3, 1, 1))

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        mean, std = self.stats
        target = self.y[i].squeeze()
        target -= 1
        return (self.x[i] - mean) / std, target


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 36, len(DIGITS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


def train(net, loader, epochs, lr):
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(1, epochs + 1):
        net.train()
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        print(f"epoch {epoch}: loss {total / len(loader):.3f}")


@torch.no_grad()
def test(net, loader):
    net.eval()
    return sum((net(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(30)
    with tempfile.TemporaryDirectory() as folder:
        train_mat, test_mat = os.path.join(folder, "train.mat"), os.path.join(folder, "test.mat")
        write_mat(train_mat, 200, seed=5)
        write_mat(test_mat, 60, seed=6)
        train_set = MatDigits(train_mat)
        test_set = MatDigits(test_mat, train_set.stats)
    net = DigitNet()
    train(net, DataLoader(train_set, batch_size=40, shuffle=True), epochs=5, lr=0.02)
    print(f"accuracy: {test(net, DataLoader(test_set, batch_size=60)):.3f}")
