"""Read seven-segment meter digits from a folder of PNG files and classify them."""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SIZE = 28
SEGMENTS = {
    0: "abcdef", 1: "bc", 2: "abged", 3: "abgcd", 4: "fgbc",
    5: "afgcd", 6: "afgedc", 7: "abc", 8: "abcdefg", 9: "abcdfg",
}


def draw_digit(digit, rng):
    w, h = rng.uniform(8, 12), rng.uniform(14, 19)
    x0, y0 = rng.uniform(3, SIZE - w - 4), rng.uniform(3, SIZE - h - 4)
    x1, y1, ym = x0 + w, y0 + h, y0 + h / 2
    slant = rng.uniform(-1.5, 2.0)
    lines = {
        "a": (x0 + slant, y0, x1 + slant, y0), "g": (x0, ym, x1, ym), "d": (x0 - slant, y1, x1 - slant, y1),
        "f": (x0 + slant, y0, x0, ym), "b": (x1 + slant, y0, x1, ym),
        "e": (x0, ym, x0 - slant, y1), "c": (x1, ym, x1 - slant, y1),
    }
    img = Image.new("L", (SIZE, SIZE), int(rng.uniform(25, 90)))
    pen = ImageDraw.Draw(img)
    ink, width = int(rng.uniform(150, 205)), rng.choice([2, 3])
    for s in SEGMENTS[digit]:
        pen.line(lines[s], fill=ink, width=width)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 7, (SIZE, SIZE))
    return Image.fromarray(np.clip(np.asarray(img) + noise, 0, 250).astype(np.uint8))


def write_images(root, per_class, seed):
    rng = random.Random(seed)
    for digit in range(10):
        folder = Path(root) / str(digit)
        folder.mkdir(parents=True)
        for k in range(per_class):
            draw_digit(digit, rng).save(folder / f"{k:04d}.png")


def load_folder(root):
    paths = sorted(Path(root).glob("*/*.png"))
    images = np.empty((len(paths), 1, SIZE, SIZE), dtype=np.float32)
    labels = np.empty(len(paths), dtype=np.int64)
    for i, path in enumerate(paths):
        with Image.open(path) as im:
            images[i, 0] = np.asarray(im.convert("L")) / 255.0
        labels[i] = int(path.parent.name)
    return TensorDataset(torch.from_numpy(images).float(), torch.from_numpy(labels))


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc1 = nn.Linear(32 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def train_one_epoch(model, loader, opt, device):
    model.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item() * len(y)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    hits = 0
    for x, y in loader:
        hits += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return hits / len(loader.dataset)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as tmp:
        write_images(Path(tmp) / "train", 100, seed=1)
        write_images(Path(tmp) / "test", 40, seed=2)
        train_set = load_folder(Path(tmp) / "train")
        test_set = load_folder(Path(tmp) / "test")
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=100)
    model = DigitNet().to(device)
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=3, gamma=0.3)
    for epoch in range(5):
        loss = train_one_epoch(model, train_loader, opt, device)
        sched.step()
        print(f"epoch {epoch + 1}: loss {loss:.4f}")
    print(f"accuracy: {evaluate(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
