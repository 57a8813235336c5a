from typing import Callable, List

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset


class Compose:
    def __init__(self, steps: List[Callable]):
        self.steps = steps

    def __call__(self, x):
        for s in self.steps:
            x = s(x)
        return x


class ToTensor:
    def __call__(self, pic):
        return torch.from_numpy(np.asarray(pic).transpose(2, 0, 1).copy()).float() / 255.0


class Normalize:
    def __init__(self, mean, std):
        self.mean = torch.tensor(mean).view(3, 1, 1)
        self.std = torch.tensor(std).view(3, 1, 1)

    def __call__(self, t):
        return (t - self.mean) / self.std


class RandomShift:
    def __init__(self, by):
        self.by = by

    def __call__(self, t):
        dy, dx = torch.randint(-self.by, self.by + 1, (2,)).tolist()
        return torch.roll(t, (dy, dx), (1, 2))


class Flags(Dataset):
    """Signal flags: stripes across, stripes down, saltire, framed, quartered; in dim light."""

    def __init__(self, n, seed, transform):
        self.rng = np.random.default_rng(seed)
        self.items = [self.draw(i % 5) for i in range(n)]
        self.transform = transform

    def draw(self, kind):
        c1, c2 = self.rng.integers(60, 120, (2, 3))
        c2 = c2 + self.rng.choice([-12, 12], 3)
        img = Image.new("RGB", (32, 32), tuple(c1.tolist()))
        d, ink = ImageDraw.Draw(img), tuple(c2.tolist())
        o = int(self.rng.integers(-3, 4))
        if kind == 0:
            d.rectangle((0, 11 + o, 31, 20 + o), fill=ink)
        elif kind == 1:
            d.rectangle((11 + o, 0, 20 + o, 31), fill=ink)
        elif kind == 2:
            d.line((0, o, 31, 31 + o), fill=ink, width=5)
            d.line((0, 31 + o, 31, o), fill=ink, width=5)
        elif kind == 3:
            d.rectangle((8 + o, 8 + o, 22 + o, 22 + o), fill=ink)
        else:
            d.rectangle((0, 0, 15 + o, 15 + o), fill=ink)
            d.rectangle((16 + o, 16 + o, 31, 31), fill=ink)
        a = np.asarray(img).astype(float) + self.rng.normal(0, 8, (32, 32, 3))
        return Image.fromarray(a.clip(0, 255).astype(np.uint8)), kind

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        pic, kind = self.items[i]
        return self.transform(pic), kind


MEAN, STD = (0.35, 0.35, 0.35), (0.08, 0.08, 0.08)
train_tf = Compose([ToTensor(), RandomShift(2), Normalize(MEAN, STD)])
valid_tf = Compose([ToTensor()])


def main():
    torch.manual_seed(14)
    train_loader = DataLoader(Flags(1000, 0, train_tf), batch_size=40, shuffle=True)
    valid_loader = DataLoader(Flags(400, 1, valid_tf), batch_size=100)
    model = nn.Sequential()
    for i, (cin, cout) in enumerate(((3, 12), (12, 24), (24, 32))):
        model.append(nn.Conv2d(cin, cout, 3, padding=1)).append(nn.ReLU()).append(nn.MaxPool2d(2))
    model.append(nn.Flatten()).append(nn.Linear(32 * 16, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(6):
        model.train()
        train_hits = 0
        for x, y in train_loader:
            optimizer.zero_grad()
            out = model(x)
            loss = criterion(out, y)
            loss.backward()
            optimizer.step()
            train_hits += (out.argmax(1) == y).sum().item()
        model.eval()
        hits = 0
        with torch.no_grad():
            for x, y in valid_loader:
                hits += (model(x).argmax(1) == y).sum().item()
        print(f"epoch {epoch}: train {train_hits / 1000:.3f} valid {hits / 400:.3f}")
    print(f"accuracy: {hits / 400:.3f}")


if __name__ == "__main__":
    main()
