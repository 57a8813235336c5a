"""Reading single digits of LED and LCD meters from cropped photographs (32 x 32, RGB)."""
import random

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

SEGMENTS = {0: "abcdef", 1: "bc", 2: "abged", 3: "abgcd", 4: "fgbc", 5: "afgcd", 6: "afgedc", 7: "abc", 8: "abcdefg", 9: "abcdfg"}
ENDS = {"a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2), "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1)}


def snapshot(digit):
    """PIL image of one digit: LED (bright on dark) or LCD (dark on grey)."""
    led = random.random() < 0.5
    back = random.randint(10, 60) if led else random.randint(130, 180)
    fore = tuple(random.randint(150, 255) for _ in range(3)) if led else tuple(random.randint(30, 80) for _ in range(3))
    im = Image.new("RGB", (96, 96), (back, back + random.randint(0, 15), back))
    d = ImageDraw.Draw(im)
    w, h = random.uniform(22, 30), random.uniform(22, 28)
    x0, y0, lean = 48 - w / 2, 48 - h, random.uniform(0, 6)
    for s in SEGMENTS[digit]:
        xa, ya, xb, yb = ENDS[s]
        d.line([x0 + xa * w + lean * (1 - ya), y0 + ya * h, x0 + xb * w + lean * (1 - yb), y0 + yb * h], fill=fore, width=random.randint(5, 7))
    im = im.rotate(random.uniform(-7, 7), translate=(random.randint(-7, 7), random.randint(-7, 7)), fillcolor=(back,) * 3)
    return im.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 2.5))).resize((32, 32), Image.BOX)


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


class ToTensor:
    def __call__(self, im):
        return torch.from_numpy(np.asarray(im, np.float32).transpose(2, 0, 1) / 255)


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)

    def __call__(self, x):
        return (x - self.mean) / self.std


class RandomCrop:
    def __init__(self, size):
        self.size = size

    def __call__(self, x):
        top, left = (int(torch.randint(n - self.size + 1, ())) for n in x.shape[-2:])
        return x[:, top:top + self.size, left:left + self.size]


class CenterCrop:
    def __init__(self, size):
        self.size = size

    def __call__(self, x):
        top, left = ((n - self.size) // 2 for n in x.shape[-2:])
        return x[:, top:top + self.size, left:left + self.size]


class Jitter:
    def __call__(self, x):
        return x * random.uniform(0.8, 1.2) + 0.03 * torch.randn_like(x)


class Digits(Dataset):
    def __init__(self, per_digit):
        self.items = [(snapshot(d), d) for d in range(10) for _ in range(per_digit)]
        self.transform = ToTensor()

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        image, digit = self.items[i]
        return self.transform(image), digit


class MeterNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 24, 3, padding=1), nn.Conv2d(24, 32, 3, padding=1)
        self.pool, self.act = nn.MaxPool2d(2), nn.PReLU()
        self.fc1, self.fc2 = nn.Linear(32 * 7 * 7, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool(self.act(self.c1(x)))
        x = self.pool(self.act(self.c2(x)))
        x = self.act(self.c3(x))
        return self.fc2(self.act(self.fc1(x.flatten(1))))


def evaluate(net, loader):
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (net(x).argmax(1) == y).sum().item()
    return right / len(loader.dataset)


def main():
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(9)
    train, val, test = Digits(130), Digits(30), Digits(50)
    pixels = torch.stack([x for x, _ in train])
    normalize = Normalize(pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)))
    train.transform = Compose(ToTensor(), Jitter(), normalize, RandomCrop(28))
    val.transform = test.transform = Compose(ToTensor(), normalize, CenterCrop(28))

    train_loader = DataLoader(train, batch_size=50, shuffle=True)
    val_loader, test_loader = DataLoader(val, batch_size=100), DataLoader(test, batch_size=100)
    net = MeterNet()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = optim.Adam(net.parameters(), lr=2e-3)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.88)

    best = (-1.0, None)
    for epoch in range(9):
        net.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            optimizer.step()
        scheduler.step()
        acc = evaluate(net, val_loader)
        print(f"epoch {epoch + 1} - loss of the last batch {loss.item():.3f} - val {acc:.3f}", flush=True)
        if acc > best[0]:
            best = (acc, {k: v.clone() for k, v in net.state_dict().items()})
    net.load_state_dict(best[1])
    print(f"test accuracy = {evaluate(net, test_loader):.3f}")


if __name__ == "__main__":
    main()
