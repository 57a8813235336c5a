"""Surface textures, stored as PNG files in one folder per class."""
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageFilter
from torch.utils.data import DataLoader, Dataset

BLUR = {"coarse": 2.5, "fine": 0.5, "medium": 1.2}
SIZE = 24


def surface(name, rng):
    noise = Image.fromarray(rng.integers(0, 256, (SIZE, SIZE), dtype=np.uint8))
    if name in BLUR:
        a = np.asarray(noise.filter(ImageFilter.GaussianBlur(BLUR[name])), dtype=np.float32)
    else:
        axis = np.arange(SIZE) * 2 * np.pi / rng.uniform(5, 8) + rng.uniform(0, 6.28)
        a = np.tile(np.sin(axis), (SIZE, 1)) + rng.normal(0, 0.7, (SIZE, SIZE))
        a = a.T if name == "rows" else a
    a = (a - a.mean()) / (a.std() + 1e-6)
    return 128 + 45 * a + rng.normal(0, 12, a.shape)


def write_folder(root, per_class, seed):
    rng = np.random.default_rng(seed)
    for name in ("coarse", "columns", "fine", "medium", "rows"):
        os.makedirs(os.path.join(root, name))
        for i in range(per_class):
            pixels = np.clip(surface(name, rng), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(os.path.join(root, name, f"{i:04d}.png"))


class FolderImages(Dataset):
    def __init__(self, root):
        self.classes = sorted(os.listdir(root))
        self.items = []
        for label, name in enumerate(self.classes):
            for file in sorted(os.listdir(os.path.join(root, name))):
                self.items.append((os.path.join(root, name, file), label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        with Image.open(path) as im:
            a = np.asarray(im, dtype=np.float32) / 255.0
        return torch.from_numpy((a - 0.5) / 0.18)[None], label


def conv(cin, cout):
    return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]


class TextureClassifier:
    def __init__(self, n_classes, lr=2e-3):
        self.encoder = nn.Sequential(*conv(1, 12), nn.MaxPool2d(2), *conv(12, 24), nn.MaxPool2d(2),
                                     *conv(24, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(32, n_classes))
        params = list(self.encoder.parameters()) + list(self.head.parameters())
        self.optimizer = torch.optim.Adam(params, lr=lr)
        self.criterion = nn.CrossEntropyLoss()

    def set_mode(self, training):
        self.encoder.train(training)
        self.head.train(training)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            self.set_mode(True)
            losses = []
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.head(self.encoder(x)), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}")

    @torch.no_grad()
    def score(self, loader):
        self.set_mode(False)
        right = total = 0
        for x, y in loader:
            right += (self.head(self.encoder(x)).argmax(1) == y).sum().item()
            total += len(y)
        return right / total


if __name__ == "__main__":
    torch.manual_seed(5)
    with tempfile.TemporaryDirectory() as tmp:
        write_folder(os.path.join(tmp, "train"), 240, seed=50)
        write_folder(os.path.join(tmp, "test"), 90, seed=51)
        train_set = FolderImages(os.path.join(tmp, "train"))
        test_set = FolderImages(os.path.join(tmp, "test"))
        clf = TextureClassifier(len(train_set.classes))
        clf.fit(DataLoader(train_set, batch_size=40, shuffle=True), epochs=5)
        print(f"accuracy: {clf.score(DataLoader(test_set, batch_size=45)):.3f}")
