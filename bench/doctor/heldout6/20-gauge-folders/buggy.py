"""Read the zone of a dial gauge (low / normal / high / alarm) from PNG files in class folders."""
import math
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

ZONES = {"low": (-135, -75), "normal": (-60, 0), "high": (15, 65), "alarm": (80, 135)}
CLASSES = sorted(ZONES)
MEAN = np.array([0.50, 0.49, 0.46])
STD = np.array([0.31, 0.30, 0.28])


def draw_gauge(zone, rng, size=40):
    im = Image.new("RGB", (size, size), tuple(rng.randint(30, 100) for _ in range(3)))
    d = ImageDraw.Draw(im)
    c = size / 2 + rng.uniform(-2, 2)
    r = rng.uniform(14, 17)
    face = rng.randint(190, 240)
    d.ellipse([c - r, c - r, c + r, c + r], fill=(face, face, face - 20), outline=(20, 20, 20))
    for tick in range(-135, 136, 45):
        a = math.radians(tick - 90)
        d.line([c + (r - 3) * math.cos(a), c + (r - 3) * math.sin(a), c + r * math.cos(a), c + r * math.sin(a)], fill=(40, 40, 40))
    a = math.radians(rng.uniform(*ZONES[zone]) - 90)
    d.line([c, c, c + (r - 2) * math.cos(a), c + (r - 2) * math.sin(a)], fill=(rng.randint(120, 200), 20, 20), width=2)
    return im


def write_images(root, per_class):
    rng = random.Random(5)
    for split, n in per_class.items():
        for zone in CLASSES:
            folder = os.path.join(root, split, zone)
            os.makedirs(folder)
            for i in range(n):
                draw_gauge(zone, rng).save(os.path.join(folder, f"{i:04d}.png"))


class GaugeFolder(Dataset):
    def __init__(self, root):
        self.items = []
        for label, name in enumerate(CLASSES):
            folder = os.path.join(root, name)
            for file in sorted(os.listdir(folder)):
                self.items.append((os.path.join(folder, file), label))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        path, label = self.items[index]
        with Image.open(path) as im:
            pixels = np.asarray(im.convert("RGB"), dtype=np.float32) / 255
        pixels = (pixels - MEAN) / STD
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), label


def conv_block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2))


def make_model():
    return nn.Sequential(
        conv_block(3, 16), conv_block(16, 32), conv_block(32, 32),
        nn.Flatten(), nn.Linear(32 * 5 * 5, len(CLASSES)),
    )


def run_epoch(model, loader, optimizer, device):
    model.train()
    total = 0.0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
    return total / len(loader.dataset)


def accuracy(model, loader, device):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += (model(images.to(device)).argmax(1) == labels.to(device)).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as root:
        write_images(root, {"train": 150, "test": 60})
        train_loader = DataLoader(GaugeFolder(os.path.join(root, "train")), batch_size=40, shuffle=True)
        test_loader = DataLoader(GaugeFolder(os.path.join(root, "test")), batch_size=80)
        model = make_model().to(device)
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)
        for epoch in range(5):
            loss = run_epoch(model, train_loader, optimizer, device)
            scheduler.step()
            print(f"epoch {epoch}: train loss {loss:.3f}")
        print(f"accuracy: {accuracy(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
