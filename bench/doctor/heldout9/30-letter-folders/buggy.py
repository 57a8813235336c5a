"""Worn stamped letters: writes an image folder (train/A/0001.png ...), then trains a CNN on it."""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFilter
from torch.utils.data import DataLoader, Dataset

STROKES = {  # on a 4 x 6 grid
    "A": [(0, 6, 2, 0), (2, 0, 4, 6), (1, 4, 3, 4)],
    "E": [(0, 0, 0, 6), (0, 0, 4, 0), (0, 3, 3, 3), (0, 6, 4, 6)],
    "H": [(0, 0, 0, 6), (4, 0, 4, 6), (0, 3, 4, 3)],
    "K": [(0, 0, 0, 6), (0, 3, 4, 0), (0, 3, 4, 6)],
    "L": [(0, 0, 0, 6), (0, 6, 4, 6)],
    "N": [(0, 6, 0, 0), (0, 0, 4, 6), (4, 6, 4, 0)],
    "T": [(0, 0, 4, 0), (2, 0, 2, 6)],
    "X": [(0, 0, 4, 6), (4, 0, 0, 6)],
    "Y": [(0, 0, 2, 3), (4, 0, 2, 3), (2, 3, 2, 6)],
    "Z": [(0, 0, 4, 0), (4, 0, 0, 6), (0, 6, 4, 6)],
}


def stamp(letter, rnd):
    im = Image.new("L", (56, 56), rnd.randint(90, 150))
    d = ImageDraw.Draw(im)
    sx, sy = rnd.uniform(5, 7.5), rnd.uniform(4.5, 6)
    ox, oy = rnd.uniform(11, 16), rnd.uniform(9, 14)
    ink = rnd.randint(0, 60) if rnd.random() < 0.5 else rnd.randint(190, 255)
    for x0, y0, x1, y1 in STROKES[letter]:
        d.line([ox + x0 * sx, oy + y0 * sy, ox + x1 * sx, oy + y1 * sy], fill=ink, width=rnd.randint(3, 6))
    im = im.rotate(rnd.uniform(-12, 12), resample=Image.BILINEAR, fillcolor=120)
    im = im.filter(ImageFilter.GaussianBlur(rnd.uniform(0.3, 1.5))).resize((28, 28), Image.BILINEAR)
    noise = np.random.default_rng(rnd.getrandbits(32)).normal(0, 14, (28, 28))
    return Image.fromarray(np.clip(np.asarray(im) + noise, 0, 255).astype(np.uint8))


def write_folder(root, per_class, seed):
    rnd = random.Random(seed)
    for letter in STROKES:
        (root / letter).mkdir(parents=True)
        for i in range(per_class):
            stamp(letter, rnd).save(root / letter / f"{i:04d}.png")


class LetterFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(p.name for p in root.iterdir() if p.is_dir())
        self.paths, self.targets = [], []
        for k, name in enumerate(self.classes):
            for p in sorted((root / name).glob("*.png")):
                self.paths.append(p)
                self.targets.append(k)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        with Image.open(self.paths[i]) as im:
            x = torch.from_numpy(np.array(im, dtype=np.float32))[None]
        return (x - 122.0) / 45.0, self.targets[i]


def get_loader(root, batch_size=40):
    ds = LetterFolder(root)
    return DataLoader(ds, batch_size=batch_size, shuffle=True)


class ResUnit(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(),
                               nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return torch.relu(x + self.f(x))


def letter_net(n):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), ResUnit(16),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), ResUnit(32),
        nn.Flatten(), nn.Linear(32 * 49, n))


def train(net, loader, epochs):
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[3], gamma=0.2)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        losses = []
        for x, y in loader:
            opt.zero_grad()
            loss = loss_fn(net(x), y)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        sched.step()
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")


def predict(net, loader):
    net.eval()
    out = []
    with torch.no_grad():
        for x, _ in loader:
            out.append(net(x).softmax(dim=1))
    return torch.cat(out).numpy()


def report(probs, targets, classes):
    pred, targets = probs.argmax(axis=1), np.asarray(targets)
    table = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(table, (targets, pred), 1)
    print("   " + " ".join(f"{c:>3}" for c in classes))
    for c, row in zip(classes, table):
        print(f"{c}: " + " ".join(f"{v:3d}" for v in row))
    return table.trace() / table.sum()


def main():
    torch.manual_seed(4)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_folder(root / "train", per_class=120, seed=1)
        write_folder(root / "test", per_class=40, seed=2)
        train_loader = get_loader(root / "train")
        test_loader = get_loader(root / "test")

        net = letter_net(len(train_loader.dataset.classes))
        train(net, train_loader, epochs=4)
        probs = predict(net, test_loader)
        acc = report(probs, test_loader.dataset.targets, test_loader.dataset.classes)
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
