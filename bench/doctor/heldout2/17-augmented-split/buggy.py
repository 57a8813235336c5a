import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, Subset, random_split


class Compose:
    def __init__(self, ts):
        self.ts = ts

    def __call__(self, img):
        for t in self.ts:
            img = t(img)
        return img


class RandomCrop:
    def __init__(self, size, pad):
        self.size, self.pad = size, pad

    def __call__(self, img):
        img = F.pad(img, [self.pad] * 4)
        i = random.randint(0, img.shape[1] - self.size)
        j = random.randint(0, img.shape[2] - self.size)
        return img[:, i : i + self.size, j : j + self.size]


class RandomErase:
    """Blank a random square, as in cutout."""

    def __init__(self, side):
        self.side = side

    def __call__(self, img):
        i = random.randint(0, img.shape[1] - self.side)
        j = random.randint(0, img.shape[2] - self.side)
        img = img.clone()
        img[:, i : i + self.side, j : j + self.side] = 0
        return img


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, img):
        return (img - self.mean) / self.std


class Glyphs(Dataset):
    """Made-up 5x5 glyphs (10 of them), enlarged to 15x15 and put into a 20x20 frame."""

    def __init__(self, n, transform=None, seed=0):
        g = torch.Generator().manual_seed(seed)
        alphabet = (torch.rand(10, 5, 5, generator=g) > 0.5).float()
        self.labels = torch.randint(10, (n,), generator=g)
        big = alphabet[self.labels].repeat_interleave(3, 1).repeat_interleave(3, 2)
        self.images = 0.6 * torch.randn(n, 1, 20, 20, generator=g)
        for k in range(n):
            a, b = torch.randint(0, 6, (2,), generator=g).tolist()
            self.images[k, 0, a : a + 15, b : b + 15] += big[k]
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, k):
        img = self.images[k]
        if self.transform:
            img = self.transform(img)
        return img, self.labels[k]


def make_net():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 25, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def main():
    random.seed(0)
    torch.manual_seed(0)
    normalize = Normalize(0.28, 0.73)
    augment = Compose([normalize, RandomCrop(20, pad=4), RandomErase(9)])

    dataset = Glyphs(2000, transform=augment)
    train_set, val_set = random_split(dataset, [1600, 400])
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=100)

    net = make_net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(8):
        net.train()
        for img, label in train_loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(img), label)
            loss.backward()
            opt.step()
        net.eval()
        ok = 0
        with torch.no_grad():
            for img, label in val_loader:
                ok += (net(img).argmax(1) == label).sum().item()
        print(f"{epoch + 1}: loss {loss.item():.3f} val {ok / len(val_set):.3f}")
    print(f"accuracy: {ok / len(val_set):.3f}")


if __name__ == "__main__":
    main()
