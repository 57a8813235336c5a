"""Traffic-sign toy data set: PNG files plus one CSV index per split, as the labelling tool exports them."""
import argparse
import csv
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SIGNS = ["stop", "yield", "priority", "no_entry", "parking"]


def draw_sign(name, rng):
    im = Image.new("RGB", (32, 32), tuple(rng.randint(60, 140) for _ in range(3)))
    d = ImageDraw.Draw(im)
    cx, cy, r = 16 + rng.randint(-3, 3), 16 + rng.randint(-3, 3), rng.randint(9, 12)
    ink = tuple(rng.randint(170, 255) for _ in range(3))
    if name == "stop":
        d.regular_polygon((cx, cy, r), 8, rotation=22, outline=ink)
        d.text((cx - 8, cy - 6), "ST", fill=ink)
    elif name == "yield":
        d.polygon([(cx - r, cy - r), (cx + r, cy - r), (cx, cy + r)], outline=ink, width=2)
    elif name == "priority":
        d.polygon([(cx, cy - r), (cx + r, cy), (cx, cy + r), (cx - r, cy)], outline=ink, width=3)
    elif name == "no_entry":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=ink, width=2)
        d.line([cx - r + 4, cy, cx + r - 4, cy], fill=ink, width=3)
    else:
        d.rectangle([cx - r, cy - r, cx + r, cy + r], outline=ink, width=2)
        d.text((cx - 3, cy - 6), "P", fill=ink)
    return im


def export(root, split, per_class, rng):
    rows = [(f"{split}_{k}_{i:04d}.png", k) for k in SIGNS for i in range(per_class)]
    rng.shuffle(rows)
    os.makedirs(os.path.join(root, split))
    for name, k in rows:
        draw_sign(k, rng).save(os.path.join(root, split, name))
    with open(os.path.join(root, split, "index.csv"), "w", newline="") as fh:
        writer = csv.writer(fh)
        writer.writerow(["file", "sign"])
        writer.writerows(rows)


class SignDataset(Dataset):
    def __init__(self, folder, noise_seed):
        with open(os.path.join(folder, "index.csv"), newline="") as fh:
            table = list(csv.DictReader(fh))
        self.files = [os.path.join(folder, r["file"]) for r in table]
        self.classes = sorted(set(r["sign"] for r in table))
        self.class_to_idx = {c: i for i, c in enumerate(self.classes)}
        self.targets = [self.class_to_idx[r["sign"]] for r in table]
        g = np.random.default_rng(noise_seed)
        self.images = [np.asarray(Image.open(f), np.float32) + g.normal(0, 20, (32, 32, 3)) for f in self.files]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        x = torch.from_numpy((self.images[index] - 125.0) / 50.0).float().permute(2, 0, 1)
        return x, self.targets[index]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.fc1 = nn.Linear(48 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, len(SIGNS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print(f"Train Epoch: {epoch} [{batch_idx}/{len(loader)}]\tLoss: {loss.item():.4f}")


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            correct += model(data).argmax(dim=1).eq(target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--log-interval", type=int, default=15)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    with tempfile.TemporaryDirectory() as root:
        export(root, "train", 240, random.Random(args.seed))
        export(root, "test", 80, random.Random(args.seed + 1))
        train_set = SignDataset(os.path.join(root, "train"), noise_seed=1)
        test_set = SignDataset(os.path.join(root, "test"), noise_seed=2)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=args.batch_size)
    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
    print(f"accuracy: {test(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
