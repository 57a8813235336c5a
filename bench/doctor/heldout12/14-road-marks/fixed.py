"""LeNet for road markings seen from a dash camera.  Transforms in the manner of torchvision, written by hand."""
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch.utils.data import DataLoader, Dataset

FULL, CROP = 32, 28
MARKS = ["ahead", "left", "right", "give-way", "crossing"]


# --------------------------------------------------------------------------- transforms
class Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, img):
        for step in self.steps:
            img = step(img)
        return img


class RandomCrop:
    def __init__(self, size):
        self.size = size

    def __call__(self, img):
        left, top = random.randint(0, img.width - self.size), random.randint(0, img.height - self.size)
        return img.crop((left, top, left + self.size, top + self.size))


class CenterCrop:
    def __init__(self, size):
        self.size = size

    def __call__(self, img):
        left, top = (img.width - self.size) // 2, (img.height - self.size) // 2
        return img.crop((left, top, left + self.size, top + self.size))


class RandomBrightness:
    def __init__(self, spread):
        self.spread = spread

    def __call__(self, img):
        return ImageEnhance.Brightness(img).enhance(random.uniform(1 - self.spread, 1 + self.spread))


class ToTensor:
    def __call__(self, img):
        return torch.from_numpy(np.array(img, dtype=np.float32) / 255.0).unsqueeze(0)


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, x):
        return (x - self.mean) / self.std


# --------------------------------------------------------------------------- images
def paint_mark(kind):
    img = Image.new("L", (64, 64), random.randint(40, 110))
    d = ImageDraw.Draw(img)
    ink, w = random.randint(150, 230), random.randint(5, 8)
    if kind == "ahead":
        d.line((32, 52, 32, 16), fill=ink, width=w)
        d.polygon([(32, 8), (22, 24), (42, 24)], fill=ink)
    elif kind in ("left", "right"):
        s = -1 if kind == "left" else 1
        d.line([(32, 52), (32, 24), (32 + s * 12, 24)], fill=ink, width=w)
        d.polygon([(32 + s * 22, 24), (32 + s * 10, 14), (32 + s * 10, 34)], fill=ink)
    elif kind == "give-way":
        d.polygon([(32, 52), (18, 14), (46, 14)], outline=ink, width=w - 2)
    else:
        for x in (12, 24, 36, 48):
            d.line((x, 14, x, 50), fill=ink, width=w - 1)
    for _ in range(random.randint(0, 3)):                       # worn paint
        x, y = random.randint(8, 52), random.randint(8, 52)
        d.ellipse((x, y, x + random.randint(3, 9), y + random.randint(3, 9)), fill=random.randint(40, 110))
    scale = random.uniform(0.8, 1.3)
    shear, dx, dy = random.uniform(-0.25, 0.25), random.uniform(-7, 7), random.uniform(-7, 7)
    img = img.transform((64, 64), Image.AFFINE,
                        (scale, shear, 32 - 32 * scale - 32 * shear + dx, 0, scale, 32 - 32 * scale + dy), Image.BILINEAR, fillcolor=75)
    img = img.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5))).resize((FULL, FULL), Image.BOX)
    noisy = np.asarray(img, np.float32) + np.random.normal(0, 22, (FULL, FULL))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


class RoadMarks(Dataset):
    def __init__(self, count, transform=None):
        self.labels = [i % len(MARKS) for i in range(count)]
        self.images = [paint_mark(MARKS[k]) for k in self.labels]
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        return (self.transform(img) if self.transform else img), self.labels[i]


# --------------------------------------------------------------------------- network
class LeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        side = ((CROP - 4) // 2 - 2) // 2                       # two unpadded convolutions, two poolings
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(24 * side * side, 64), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(64, classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def run_epoch(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    loss_sum, hits = 0.0, 0
    with torch.set_grad_enabled(training):
        for images, labels in loader:
            logits = model(images)
            loss = criterion(logits, labels)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * labels.size(0)
            hits += (logits.argmax(1) == labels).sum().item()
    return loss_sum / len(loader.dataset), hits / len(loader.dataset)


def main():
    random.seed(4), np.random.seed(4), torch.manual_seed(4)
    train_set, val_set, test_set = RoadMarks(1200), RoadMarks(300), RoadMarks(600)
    pixels = np.stack([np.asarray(im) for im in train_set.images]) / 255.0
    normalize = Normalize(float(pixels.mean()), float(pixels.std()))
    train_set.transform = Compose([RandomCrop(CROP), RandomBrightness(0.15), ToTensor(), normalize])
    val_set.transform = test_set.transform = Compose([CenterCrop(CROP), ToTensor(), normalize])

    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader, test_loader = DataLoader(val_set, batch_size=150), DataLoader(test_set, batch_size=150)

    model = LeNet(len(MARKS))
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(1, 11):
        loss, acc = run_epoch(model, train_loader, criterion, optimizer)
        print(f"epoch {epoch:2d}  train {loss:.3f} / {acc:.3f}", end="", flush=True)
        print("   val %.3f / %.3f" % run_epoch(model, val_loader, criterion))
    print(f"test accuracy {run_epoch(model, test_loader, criterion)[1]:.4f}")


if __name__ == "__main__":
    main()
