import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

STYLES = ("cross", "diamond", "fan", "meander")
SIDE = 24


# ------------------------------------------------------------------ pictures
def mosaic(style, rng):
    """A wall patch of 6x6 little stones; the pattern is given by the dark stones."""
    plan = np.zeros((6, 6))
    if style == "cross":
        plan[2:4, :] = 1
        plan[:, 2:4] = 1
    elif style == "diamond":
        for r in range(6):
            for c in range(6):
                plan[r, c] = abs(abs(r - 2.5) + abs(c - 2.5) - 3) < 0.6
    elif style == "fan":
        for r in range(6):
            for c in range(6):
                plan[r, c] = 3.2 < np.hypot(r - 5.5, c - 5.5) < 6.0
        plan = np.rot90(plan, rng.integers(4))
    else:
        plan[0, :] = plan[:, 0] = plan[5, 2:] = plan[2:, 5] = plan[2, 2:] = 1
        plan = np.rot90(plan, rng.integers(4))
    flip = rng.random((6, 6)) < 0.09                     # stones replaced in repairs
    plan = np.where(flip, 1 - plan, plan)
    a, b = rng.uniform(0.2, 0.5, 3), rng.uniform(0.45, 0.8, 3)
    stones = plan[..., None] * a + (1 - plan[..., None]) * b + rng.normal(0, 0.06, (6, 6, 1))
    img = np.kron(stones, np.ones((4, 4, 1)))
    img[3::4] *= 0.75                                    # grout
    img[:, 3::4] *= 0.75
    img = np.roll(img, rng.integers(-2, 3, 2), axis=(0, 1)) + rng.normal(0, 0.05, (SIDE, SIDE, 3))
    return Image.fromarray((img.clip(0, 1) * 255).astype(np.uint8))


def write_pictures(root, per_style, seed):
    rng = np.random.default_rng(seed)
    for style in STYLES:
        folder = root / style
        folder.mkdir(parents=True)
        for i in range(per_style):
            mosaic(style, rng).save(folder / f"{i:04d}.png")


# ------------------------------------------------------------------ data set
class PictureFolder(Dataset):
    """One sub-folder per class. The files are decoded once and kept in memory."""

    def __init__(self, root):
        self.classes = sorted(p.name for p in Path(root).iterdir() if p.is_dir())
        self.pictures, self.targets = [], []
        for label, name in enumerate(self.classes):
            for path in sorted((Path(root) / name).glob("*.png")):
                with Image.open(path) as im:
                    array = np.asarray(im.convert("RGB"), dtype=np.float32) / 255
                self.pictures.append(torch.from_numpy(array).permute(2, 0, 1).contiguous())
                self.targets.append(label)
        self.mean, self.std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)

    def statistics(self):
        stack = torch.stack(self.pictures)
        return stack.mean(dim=(0, 2, 3)).view(3, 1, 1), stack.std(dim=(0, 2, 3)).view(3, 1, 1)

    def set_statistics(self, mean, std):
        self.mean, self.std = mean, std

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        picture = self.pictures[index]
        picture -= self.mean
        picture /= self.std
        return picture, self.targets[index]


# ------------------------------------------------------------------ network
class MosaicNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 6 * 6, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, classes))

    def forward(self, x):
        return self.classifier(self.features(x))


def accuracy(model, loader):
    model.eval()
    correct = 0
    with torch.inference_mode():
        for pictures, targets in loader:
            correct += (model(pictures).argmax(dim=1) == targets).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    torch.manual_seed(4)

    with tempfile.TemporaryDirectory() as tmp:
        for part, per_style, seed in (("train", 350, 1), ("val", 75, 2), ("test", 100, 3)):
            write_pictures(Path(tmp) / part, per_style, seed)
        train, val, test = (PictureFolder(Path(tmp) / part) for part in ("train", "val", "test"))
    mean, std = train.statistics()
    for part in (train, val, test):
        part.set_statistics(mean, std)
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(val, batch_size=100)
    test_loader = DataLoader(test, batch_size=100)

    model = MosaicNet(len(train.classes))
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        model.train()
        running = 0.0
        for pictures, targets in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(pictures), targets)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(targets)
        print(f"[{epoch + 1}/{args.epochs}] loss {running / len(train):.4f} val accuracy {accuracy(model, val_loader):.4f}")
    print(f"test accuracy {accuracy(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
