"""Letters drawn with PIL; AdamW with linear warm-up and cosine."""
import argparse
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, TensorDataset

LETTERS = "AEKMSX"


def letter(ch, rng):
    img = Image.new("L", (24, 24), rng.randint(0, 60))
    font = ImageFont.load_default(size=rng.randint(14, 18))
    ImageDraw.Draw(img).text((12 + rng.randint(-3, 3), 12 + rng.randint(-3, 3)), ch, fill=rng.randint(140, 255), font=font, anchor="mm")
    return np.asarray(img.rotate(rng.uniform(-15, 15), resample=Image.Resampling.BILINEAR, fillcolor=img.getpixel((0, 0))), np.float32)


def build(per_letter, seed):
    rng, g = random.Random(seed), np.random.default_rng(seed)
    pairs = [(letter(ch, rng) + g.normal(0, 20, (24, 24)), k) for k, ch in enumerate(LETTERS) for _ in range(per_letter)]
    x = torch.tensor(np.stack([p[0] for p in pairs]), dtype=torch.float32).unsqueeze(1)
    return (x - 60.0) / 65.0, torch.tensor([p[1] for p in pairs])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.fc1 = nn.Linear(32 * 36, 64)
        self.fc2 = nn.Linear(64, len(LETTERS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(self.drop(x))


def make_schedule(optimizer, lr, warmup, total):
    def at(step):
        if step < warmup:
            return lr * (step + 1) / warmup
        return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    return optim.lr_scheduler.LambdaLR(optimizer, at)


def train_one_epoch(model, loader, optimizer, schedule):
    model.train()
    total = 0.0
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    return sum((model(d).argmax(1) == t).sum().item() for d, t in loader) / len(loader.dataset)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=8)
    ap.add_argument("--batch", type=int, default=40)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--warmup-steps", type=int, default=30)
    ap.add_argument("--seed", type=int, default=13)
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    train_loader = DataLoader(TensorDataset(*build(200, args.seed)), batch_size=args.batch, shuffle=True)
    test_loader = DataLoader(TensorDataset(*build(60, args.seed + 1)), batch_size=60)
    model = Net()
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.0)
    schedule = make_schedule(optimizer, args.lr, args.warmup_steps, args.epochs * len(train_loader))
    for epoch in range(args.epochs):
        print(f"epoch {epoch}: loss {train_one_epoch(model, train_loader, optimizer, schedule):.3f}")
    print(f"accuracy: {evaluate(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
