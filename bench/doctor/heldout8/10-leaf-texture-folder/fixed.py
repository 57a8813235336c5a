import glob
import os
import tempfile

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["blotchy", "dotted", "fine_veins", "ribbed", "smooth", "webbed"]
PER_CLASS = 163
SIZE = 32
BATCH = 24
EPOCHS = 4
device = "cuda" if torch.cuda.is_available() else "cpu"


def leaf(kind, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    a = rng.uniform(0, np.pi)
    u, v = xx * np.cos(a) + yy * np.sin(a), -xx * np.sin(a) + yy * np.cos(a)
    ph = rng.uniform(0, 6.28, 2)
    if kind == "blotchy":
        low = rng.normal(0, 1, (6, 6))
        t = np.asarray(Image.fromarray(low.astype(np.float32)).resize((SIZE, SIZE), Image.BICUBIC))
        t = np.sign(t)
    elif kind == "dotted":
        t = np.sign(np.sin(u * 1.0 + ph[0]) * np.sin(v * 1.0 + ph[1]) - 0.5)
    elif kind == "fine_veins":
        t = np.sin(u * 1.7 + ph[0])
    elif kind == "ribbed":
        t = np.sin(u * 0.7 + ph[0])
    elif kind == "webbed":
        t = np.maximum(np.sin(u * 0.7 + ph[0]), np.sin(v * 0.7 + ph[1]))
    else:
        t = u / SIZE * rng.choice([-1, 1])
    base = np.array([70, 125, 60]) + rng.normal(0, 12, 3)
    gain = rng.uniform(14, 30)
    if rng.random() < 0.05:  # lens cap half on, night shots
        base, gain = base * 0.1, gain * 0.1
    img = base + gain * t[..., None] + rng.normal(0, 0.08 * gain + 1, (SIZE, SIZE, 3))
    return Image.fromarray(np.clip(img, 0, 255).astype(np.uint8))


def write_folder(root):
    rng = np.random.default_rng(2024)
    for c in CLASSES:
        os.makedirs(os.path.join(root, c))
        for i in range(PER_CLASS):
            leaf(c, rng).save(os.path.join(root, c, f"{c}_{i:04d}.png"))


def usable(path, min_brightness=40):
    with Image.open(path) as im:
        return np.asarray(im.convert("L")).mean() >= min_brightness


def index_folder(root):
    train, test = [], []
    for label, c in enumerate(CLASSES):
        files = [f for f in sorted(glob.glob(os.path.join(root, c, "*.png"))) if usable(f)]
        for i, f in enumerate(files):
            (test if i % 5 == 4 else train).append((f, label))
    return train, test


class LeafDataset(Dataset):
    def __init__(self, items, augment=False):
        self.items = items
        self.augment = augment
        self.cache = [np.asarray(Image.open(f).convert("RGB")) for f, _ in items]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        x = torch.from_numpy(self.cache[i].copy()).permute(2, 0, 1).float() / 255
        if self.augment and torch.rand(()) < 0.5:
            x = x.flip(-1)
        mean = torch.tensor([0.28, 0.49, 0.24]).view(3, 1, 1)
        return (x - mean) / 0.1, self.items[i][1]


class LeafNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 5, padding=2)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1)
        self.conv3 = nn.Conv2d(48, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.embed = nn.Sequential(
            nn.Linear(64, 64, bias=False),
            nn.BatchNorm1d(64),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(64, n_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.conv3(x)).mean(dim=(2, 3))
        return self.classifier(self.embed(x))


def run():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        write_folder(root)
        train_items, test_items = index_folder(root)
        train_set, test_set = LeafDataset(train_items, augment=True), LeafDataset(test_items)
    print(f"{len(train_set)} training and {len(test_set)} test images")

    train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=BATCH)

    net = LeafNet(len(CLASSES)).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    for epoch in range(EPOCHS):
        net.train()
        running, steps = 0.0, 0
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
            steps += 1
        print(f"epoch {epoch + 1}: loss {running / steps:.3f}")

    net.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test_loader:
            correct += (net(x.to(device)).argmax(1).cpu() == y).sum().item()
    print(f"accuracy: {correct / len(test_set):.3f}")


if __name__ == "__main__":
    run()
