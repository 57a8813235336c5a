"""Letter reader for a label scanner; batches are assembled and augmented in the collate function."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

ALPHABET = "bdpqkzse"


@dataclass
class Augment:
    shift: int = 2
    mirror: float = 0.5
    noise: float = 0.05

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        n, _, h, w = x.shape
        padded = F.pad(x, [self.shift] * 4, mode="replicate")
        dy, dx = torch.randint(0, 2 * self.shift + 1, (2, n)).tolist()
        x = torch.stack([im[:, a:a + h, b:b + w] for im, a, b in zip(padded, dy, dx)])
        turn = torch.rand(n) < self.mirror
        x[turn] = x[turn].flip(-1)
        return x + self.noise * torch.randn_like(x)


class Scans(Dataset):
    def __init__(self, count, seed, size=20):
        rng = np.random.default_rng(seed)
        fonts = [ImageFont.load_default(size=s) for s in (14, 15, 16, 17)]
        self.targets = rng.permutation(np.arange(count) % len(ALPHABET))
        pages = []
        for t in self.targets:
            paper = int(rng.integers(170, 250))
            im = Image.new("L", (size, size), paper)
            pos = (int(rng.integers(3, 7)), int(rng.integers(-2, 2)))
            ImageDraw.Draw(im).text(pos, ALPHABET[t], fill=int(rng.integers(0, 80)), font=fonts[rng.integers(4)])
            pages.append(np.asarray(im.rotate(rng.uniform(-8, 8), fillcolor=paper)))
        self.pages = np.stack(pages)

    def __len__(self):
        return len(self.pages)

    def __getitem__(self, i):
        return self.pages[i], self.targets[i]


class Collate:
    def __init__(self, mean, std, augment=None):
        self.mean, self.std, self.augment = mean, std, augment

    def __call__(self, samples):
        pages, targets = zip(*samples)
        x = torch.from_numpy(np.stack(pages)).float().unsqueeze(1)
        x = (x - self.mean) / self.std
        if self.augment is not None:
            x = self.augment(x)
        return x, torch.as_tensor(np.array(targets))


def conv_block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2))


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(conv_block(1, 16), conv_block(16, 32))
        self.out = nn.Linear(32 * 5 * 5, len(ALPHABET))

    def forward(self, x):
        return self.out(self.convs(x).flatten(1))


def fit(model, loader, epochs, lr):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    for epoch in range(epochs):
        model.train()
        losses = []
        for x, y in loader:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{epochs} loss {np.mean(losses):.3f}")


def confusion(model, loader):
    table = torch.zeros(len(ALPHABET), len(ALPHABET), dtype=torch.long)
    model.eval()
    with torch.no_grad():
        for x, y in loader:
            table.index_put_((y, model(x).argmax(1)), torch.ones_like(y), accumulate=True)
    return table


def main():
    torch.manual_seed(12)
    train, test = Scans(640, seed=12), Scans(240, seed=13)
    mean, std = float(train.pages.mean()), float(train.pages.std())
    train_loader = DataLoader(train, 40, shuffle=True, collate_fn=Collate(mean, std, Augment()))
    test_loader = DataLoader(test, 120, collate_fn=Collate(mean, std))
    model = Reader()
    fit(model, train_loader, epochs=6, lr=3e-3)
    table = confusion(model, test_loader)
    print(f"accuracy: {table.diag().sum().item() / table.sum().item():.3f}")


if __name__ == "__main__":
    main()
