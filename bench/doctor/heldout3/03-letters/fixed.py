"""Recognise eight hand-jittered capital letters; label smoothing against overconfidence."""
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset

LETTERS = "ABEHKMRX"


def render(letter, rnd, size=28):
    font = ImageFont.load_default(size=rnd.randint(15, 21))
    img = Image.new("L", (size, size), 0)
    ImageDraw.Draw(img).text((size // 2 + rnd.randint(-3, 3), size // 2 + rnd.randint(-3, 3)),
                             letter, fill=rnd.randint(140, 255), font=font, anchor="mm")
    img = img.rotate(rnd.uniform(-20, 20), resample=Image.BILINEAR)
    noise = np.random.default_rng(rnd.getrandbits(32)).normal(0, 45, (size, size))
    return np.clip(np.asarray(img, dtype=np.float32) + noise, 0, 255).astype(np.uint8)


class Letters(Dataset):
    def __init__(self, per_class, seed, mean=None, std=None):
        rnd = random.Random(seed)
        self.items = [(render(c, rnd), k) for k, c in enumerate(LETTERS) for _ in range(per_class)]
        stack = np.stack([im for im, _ in self.items]) / 255.0
        self.mean = float(stack.mean()) if mean is None else mean
        self.std = float(stack.std()) if std is None else std

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        image, label = self.items[i]
        x = torch.from_numpy(image).float().div(255.0)
        return ((x - self.mean) / self.std).unsqueeze(0), label


def smooth_targets(labels, num_classes, eps):
    targets = torch.full((labels.size(0), num_classes), eps / (num_classes - 1))
    return targets.scatter_(1, labels.unsqueeze(1), 1.0 - eps)


def smooth_loss(logits, labels, eps):
    targets = smooth_targets(labels, logits.size(1), eps)
    return -(targets * F.log_softmax(logits, dim=1)).sum(dim=1).mean()


class LetterNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.fc1 = nn.Linear(32 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.features(x).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def train(args, model, loader, optimizer, epoch):
    model.train()
    for step, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = smooth_loss(model(data), target, args.smoothing)
        loss.backward()
        optimizer.step()
        if step % args.log_interval == 0:
            print(f"Train Epoch: {epoch} [{step}/{len(loader)}]\tLoss: {loss.item():.4f}")


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            correct += model(data).argmax(dim=1).eq(target).sum().item()
    return correct / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--log-interval", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    train_set = Letters(160, seed=11)
    test_set = Letters(50, seed=12, mean=train_set.mean, std=train_set.std)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=100)
    model = LetterNet(len(LETTERS))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
    print(f"accuracy: {test(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
