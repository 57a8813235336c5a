"""Road sign recognition on small rendered signs."""
import argparse
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw, ImageFilter
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset

SIGNS = ["no_entry", "straight_on",
         "turn_left", "turn_right",
         "keep_left", "keep_right",
         "curve_left", "curve_right"]
PAIRS = [("turn_left", "turn_right"), ("keep_left", "keep_right"), ("curve_left", "curve_right")]
MIRROR = {a: b for a, b in PAIRS}
INDEX = {name: i for i, name in enumerate(SIGNS)}


def arrow(draw, points, colour, width):
    draw.line(points, fill=colour, width=width, joint="curve")
    (x0, y0), (x1, y1) = points[-2], points[-1]
    a = math.atan2(y1 - y0, x1 - x0)
    tip = [(x1 + 14 * math.cos(a), y1 + 14 * math.sin(a)),
           (x1 + 14 * math.cos(a + 2.1), y1 + 14 * math.sin(a + 2.1)),
           (x1 + 14 * math.cos(a - 2.1), y1 + 14 * math.sin(a - 2.1))]
    draw.polygon(tip, fill=colour)


def render(name, rng):
    """One sign, drawn at 112 pixels and scaled to 28."""
    im = Image.new("RGB", (112, 112), tuple(int(v) for v in rng.integers(60, 190, 3)))
    d = ImageDraw.Draw(im)
    for _ in range(5):
        x, y = rng.integers(0, 112, 2)
        d.rectangle([x, y, x + rng.integers(10, 50), y + rng.integers(10, 50)],
                    fill=tuple(int(v) for v in rng.integers(40, 210, 3)))
    side, kind = (-1 if name.endswith("left") else 1), name.split("_")[0]
    white = (235, 235, 230)
    if name == "no_entry":
        d.ellipse([16, 16, 96, 96], fill=(185, 35, 40))
        d.rectangle([30, 48, 82, 64], fill=white)
    elif kind == "curve":
        d.polygon([(56, 12), (102, 96), (10, 96)], fill=(190, 40, 40))
        d.polygon([(56, 28), (90, 90), (22, 90)], fill=white)
        d.line([(56 - 6 * side, 86), (56 - 6 * side, 66), (56 + 10 * side, 58), (56 + 4 * side, 44)], fill=(20, 20, 20), width=9)
        d.line([(56 - 6 * side, 66), (56 + 14 * side, 60)], fill=(20, 20, 20), width=9)
    else:
        d.ellipse([16, 16, 96, 96], fill=(30, 70, 165))
        path = {"straight": [(56, 84), (56, 44)],
                "turn": [(56 - 12 * side, 80), (56 - 12 * side, 56), (56 + 10 * side, 56)],
                "keep": [(56 - 18 * side, 36), (56 + 10 * side, 66)]}[kind]
        arrow(d, path, white, 11)
    im = im.rotate(float(rng.uniform(-9, 9)), resample=Image.BILINEAR,
                   translate=(int(rng.integers(-9, 10)), int(rng.integers(-9, 10))))
    im = im.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 5.0)))).resize((28, 28), Image.BOX)
    x = np.asarray(im, dtype=np.float32) / 255 * rng.uniform(0.45, 1.15) + rng.normal(0, 0.14, (28, 28, 3))
    return torch.from_numpy(np.clip(x, 0, 1).astype(np.float32)).permute(2, 0, 1)


class RoadSigns(Dataset):
    def __init__(self, n, seed, augment=False):
        rng = np.random.default_rng(seed)
        self.names = [SIGNS[i] for i in rng.permutation(np.arange(n) % len(SIGNS))]
        self.images = torch.stack([render(name, rng) for name in self.names])
        self.augment = augment
        self.mean, self.std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        image, name = (self.images[i] - self.mean) / self.std, self.names[i]
        if self.augment and torch.rand(()) < 0.5:
            image, name = image.flip(-1), MIRROR.get(name, name)
        return image, INDEX[name]


class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(32 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = self.dropout(torch.flatten(x, 1))
        return self.fc2(F.relu(self.fc1(x)))


def train(model, loader, optimizer):
    model.train()
    total = 0.0
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    hits = sum((model(data).argmax(1) == target).sum().item() for data, target in loader)
    return hits / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description="Road signs")
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    train_set = RoadSigns(1200, seed=100, augment=True)
    val_set, test_set = RoadSigns(320, seed=200), RoadSigns(480, seed=300)
    mean = train_set.images.mean((0, 2, 3)).view(3, 1, 1)
    std = train_set.images.std((0, 2, 3)).view(3, 1, 1)
    for part in (train_set, val_set, test_set):
        part.mean, part.std = mean, std

    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=160)
    test_loader = DataLoader(test_set, batch_size=160)

    model = Net(len(SIGNS))
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=7, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        loss = train(model, train_loader, optimizer)
        scheduler.step()
        print(f"Train epoch {epoch:2d}  loss {loss:.4f}  val accuracy {evaluate(model, val_loader):.3f}")
    print(f"Test accuracy: {evaluate(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
