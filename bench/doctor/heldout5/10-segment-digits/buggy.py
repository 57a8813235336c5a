import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

# Seven-segment displays: which segments are lit for each digit.
LIT = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
SEGMENTS = {
    "a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1),
}
SEEDS = {"train": 10, "valid": 20, "test": 30}


class SegmentDigits(Dataset):
    def __init__(self, split, per_class, size=24):
        rng = np.random.RandomState(SEEDS[split])
        self.size = size
        self.augment = split != "test"
        self.labels = np.repeat(np.arange(10), per_class)
        images = np.stack([self.draw(d, rng) for d in self.labels])
        self.images = torch.from_numpy(images).unsqueeze(1)

    def draw(self, digit, rng):
        img = Image.new("L", (self.size, self.size), 0)
        pen = ImageDraw.Draw(img)
        left, top = rng.randint(5, 8), rng.randint(3, 6)
        w, h = rng.randint(8, 11), rng.randint(7, 9)
        slant = rng.randint(0, 3)
        for s in LIT[digit]:
            x0, y0, x1, y1 = SEGMENTS[s]
            pen.line((left + x0 * w + (2 - y0) * slant // 2, top + y0 * h,
                      left + x1 * w + (2 - y1) * slant // 2, top + y1 * h), fill=int(rng.randint(170, 256)), width=2)
        a = np.asarray(img, dtype=np.float32) / 255
        return (a + rng.normal(0, 0.15, a.shape)).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = self.images[i]
        if self.augment:
            x = self.jitter(x)
        return (x - 0.2) / 0.35, int(self.labels[i])

    def jitter(self, x):
        dx, dy = torch.randint(-1, 2, (2,)).tolist()
        x = torch.roll(x, (dy, dx), dims=(1, 2))
        if torch.rand(1).item() < 0.8:
            top, left = torch.randint(2, self.size - 12, (2,)).tolist()
            x[:, top:top + 10, left:left + 10] = 0
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(32 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def validate(net, loader):
    net.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (net(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(2)
    train_loader = DataLoader(SegmentDigits("train", 180), batch_size=45, shuffle=True)
    valid_loader = DataLoader(SegmentDigits("valid", 60), batch_size=100)
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(6):
        net.train()
        total = 0.0
        for x, y in train_loader:
            opt.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch + 1}  train loss {total / len(train_loader):.4f}")
    print(f"accuracy: {validate(net, valid_loader):.3f}")


if __name__ == "__main__":
    main()
