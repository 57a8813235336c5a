"""Letter recognition with an anti-aliased CNN (blur pooling instead of strided pooling)."""
import random
import string

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

ALPHABET = "AEHKLSTX"
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Letters(Dataset):
    def __init__(self, n, seed):
        assert all(c in string.ascii_uppercase for c in ALPHABET)
        self.rnd = random.Random(seed)
        noise = np.random.RandomState(seed)
        font = ImageFont.load_default()
        self.targets = torch.tensor([self.rnd.randrange(len(ALPHABET)) for _ in range(n)])
        pixels = np.stack([self.draw(ALPHABET[t], font) for t in self.targets.tolist()])
        pixels = pixels + noise.normal(0, 35, pixels.shape)
        self.data = torch.tensor((pixels - 45.0) / 75.0, dtype=torch.float32).unsqueeze(1)

    def draw(self, char, font):
        tile = Image.new("L", (14, 16), 0)
        ImageDraw.Draw(tile).text((3, 2), char, fill=self.rnd.randint(190, 255), font=font)
        w, h = self.rnd.randint(18, 24), self.rnd.randint(20, 24)
        tile = tile.resize((w, h), Image.BICUBIC).rotate(self.rnd.uniform(-15, 15), Image.BILINEAR)
        page = Image.new("L", (24, 24), 0)
        page.paste(tile, (self.rnd.randint(0, 24 - w), self.rnd.randint(0, 24 - h)))
        return np.asarray(page, dtype=np.float64)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.data[index], self.targets[index]


class BlurPool(nn.Module):
    """Max over 2x2 windows at stride 1, then a binomial filter at stride 2."""

    def __init__(self, channels):
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        kernel = taps[:, None] * taps[None, :]
        kernel = kernel / kernel.sum()
        self.channels = channels
        self.register_buffer("kernel", kernel.repeat(channels, 1, 1, 1))

    def forward(self, x):
        x = F.max_pool2d(x, kernel_size=2, stride=1)
        return F.conv2d(x, self.kernel, stride=2, padding=1, groups=self.channels)


class LetterNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.down1 = BlurPool(16)
        self.block2 = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.down2 = BlurPool(32)
        self.head = nn.Linear(32 * 6 * 6, n_classes)

    def forward(self, x):
        x = self.down1(self.block1(x))
        x = self.down2(self.block2(x))
        return self.head(torch.flatten(x, 1))


def train(model, loader, optimizer, scheduler):
    model.train()
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            data, target = data.to(device), target.to(device)
            correct += model(data).argmax(dim=1).eq(target).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(7)
    epochs = 4
    train_loader = DataLoader(Letters(2000, seed=1), batch_size=64, shuffle=True, drop_last=True)
    test_loader = DataLoader(Letters(500, seed=2), batch_size=250)
    model = LetterNet(len(ALPHABET)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=5e-3, total_steps=epochs * len(train_loader))
    for epoch in range(1, epochs + 1):
        loss = train(model, train_loader, optimizer, scheduler)
        print("Train epoch: {}\tLoss: {:.4f}".format(epoch, loss))
    print("accuracy: {:.3f}".format(test(model, test_loader)))


if __name__ == "__main__":
    main()
