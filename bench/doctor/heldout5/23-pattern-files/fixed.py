"""Pattern recognition from a flat directory of files called 00017_checker.png and so on."""
import os
import shutil
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image
from torch.utils.data import DataLoader, Dataset

SIZE = 24


def pattern(name, rng):
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(float)
    w = 2 * np.pi * rng.uniform(0.11, 0.19)
    px, py = rng.uniform(0, 2 * np.pi, 2)
    if name == "bars_h":
        z = np.sin(w * yy + py)
    elif name == "bars_v":
        z = np.sin(w * xx + px)
    elif name == "diagonal":
        z = np.sin(w * (xx + yy) / 1.414 + px)
    elif name == "checker":
        z = np.sign(np.sin(w * xx + px) * np.sin(w * yy + py))
    elif name == "rings":
        z = np.sin(w * np.hypot(xx - rng.uniform(6, 18), yy - rng.uniform(6, 18)) + px)
    else:
        z = np.maximum(np.cos(w * xx + px), np.cos(w * yy + py))
    z = 125 + rng.uniform(35, 55) * z + rng.normal(0, 30, z.shape)
    return Image.fromarray(np.clip(z, 0, 255).astype(np.uint8))


def write_split(directory, count, rng):
    os.makedirs(directory)
    names = ["bars_h", "bars_v", "checker", "diagonal", "mesh", "rings"]
    for i in range(count):
        name = names[rng.integers(len(names))]
        pattern(name, rng).save(os.path.join(directory, f"{i:05d}_{name}.png"))


class PatternFiles(Dataset):
    def __init__(self, directory):
        self.directory = directory
        self.files = sorted(os.listdir(directory))
        names = [os.path.splitext(f)[0].split("_", 1)[1] for f in self.files]
        self.classes = sorted(set(names))
        index = {name: i for i, name in enumerate(self.classes)}
        self.labels = [index[name] for name in names]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(os.path.join(self.directory, self.files[i])) as im:
            pixels = np.array(im, dtype=np.float32)
        return torch.from_numpy((pixels - 125.0) / 45.0)[None], self.labels[i]


def make_model(n_classes):
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(32 * 9, n_classes),
        nn.LogSoftmax(dim=1),
    )


def fit(model, loader, epochs):
    loss_fn = nn.NLLLoss()
    opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch + 1} mean loss {total / len(loader):.3f}")


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    good = [(model(x).argmax(dim=1) == y).float() for x, y in loader]
    return torch.cat(good).mean().item()


def main():
    torch.manual_seed(1234)
    rng = np.random.default_rng(1234)
    root = tempfile.mkdtemp()
    try:
        write_split(os.path.join(root, "train"), 1500, rng)
        write_split(os.path.join(root, "test"), 480, rng)
        train_set = PatternFiles(os.path.join(root, "train"))
        test_set = PatternFiles(os.path.join(root, "test"))
        model = make_model(len(train_set.classes))
        fit(model, DataLoader(train_set, batch_size=50, shuffle=True), epochs=4)
        print(f"accuracy: {evaluate(model, DataLoader(test_set, batch_size=120)):.3f}")
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
