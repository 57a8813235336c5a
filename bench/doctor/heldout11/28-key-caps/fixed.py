import argparse
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

parser = argparse.ArgumentParser(description="Key cap recognition")
parser.add_argument("--epochs", default=6, type=int)
parser.add_argument("-b", "--batch-size", default=48, type=int)
parser.add_argument("--lr", default=0.002, type=float)
parser.add_argument("-p", "--print-freq", default=2, type=int, help="report every so many epochs")
parser.add_argument("--seed", default=17, type=int)

LEGENDS = ["A", "E", "F", "H", "K", "M", "N", "R", "X", "Z"]
STROKES = {
    "A": [(0, 2, 1, 0), (1, 0, 2, 2), (0.5, 1.2, 1.5, 1.2)],
    "E": [(0, 0, 0, 2), (0, 0, 2, 0), (0, 1, 1.6, 1), (0, 2, 2, 2)],
    "F": [(0, 0, 0, 2), (0, 0, 2, 0), (0, 1, 1.6, 1)],
    "H": [(0, 0, 0, 2), (2, 0, 2, 2), (0, 1, 2, 1)],
    "K": [(0, 0, 0, 2), (0, 1, 2, 0), (0, 1, 2, 2)],
    "M": [(0, 2, 0, 0), (0, 0, 1, 1.2), (1, 1.2, 2, 0), (2, 0, 2, 2)],
    "N": [(0, 2, 0, 0), (0, 0, 2, 2), (2, 2, 2, 0)],
    "R": [(0, 2, 0, 0), (0, 0, 1.8, 0.2), (1.8, 0.2, 1.8, 0.9), (1.8, 0.9, 0, 1), (0.6, 1, 2, 2)],
    "X": [(0, 0, 2, 2), (2, 0, 0, 2)],
    "Z": [(0, 0, 2, 0), (2, 0, 0, 2), (0, 2, 2, 2)],
}


class KeyCaps(Dataset):
    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.targets = rng.integers(0, len(LEGENDS), count)
        self.images = [self.render(LEGENDS[t], rng) for t in self.targets]

    @staticmethod
    def render(legend, rng):
        dark = rng.random() < 0.5
        cap, ink = (60, 215) if dark else (205, 45)
        im = Image.new("L", (72, 72), int(rng.integers(90, 160)))
        d = ImageDraw.Draw(im)
        d.rounded_rectangle([5, 5, 66, 66], 8, fill=cap - 25)
        d.rounded_rectangle([10, 7, 61, 58], 7, fill=cap)
        step = rng.uniform(14, 18)
        ox, oy = rng.uniform(13, 58 - 2 * step), rng.uniform(10, 55 - 2 * step)
        for x0, y0, x1, y1 in STROKES[legend]:
            ends = [(ox + step * x0, oy + step * y0), (ox + step * x1, oy + step * y1)]
            d.line(ends, fill=ink, width=int(rng.integers(4, 7)))
        if rng.random() < 0.3:  # a second small mark, as on the number row
            d.ellipse([48, 46, 54, 52], fill=ink)
        im = im.rotate(rng.uniform(-8, 8), Image.BILINEAR, fillcolor=120).resize((24, 24), Image.BOX)
        arr = np.asarray(im, np.float32) / 127.5 - 1
        return torch.from_numpy(arr + rng.normal(0, 0.15, arr.shape).astype(np.float32)).unsqueeze(0)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], int(self.targets[i])


class AverageMeter:
    def __init__(self, name):
        self.name, self.sum, self.count = name, 0.0, 0

    def update(self, value, n):
        self.sum += value * n
        self.count += n

    @property
    def avg(self):
        return self.sum / self.count

    def __str__(self):
        return f"{self.name} {self.avg:.3f}"


def accuracy(output, target, topk=(1,)):
    """Share (in per cent) of samples whose target is among the k best outputs, for each k."""
    with torch.no_grad():
        _, pred = output.topk(max(topk), dim=1)
        correct = pred.eq(target.view(-1, 1).expand_as(pred))
        return [correct[:, :k].float().sum().item() * 100.0 / target.size(0) for k in topk]


def train(loader, model, criterion, optimizer):
    losses = AverageMeter("loss")
    model.train()
    for images, target in loader:
        loss = criterion(model(images), target)
        losses.update(loss.item(), images.size(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def validate(loader, model, criterion):
    losses, top1, top3 = AverageMeter("loss"), AverageMeter("acc@1"), AverageMeter("acc@3")
    model.eval()
    with torch.no_grad():
        for images, target in loader:
            output = model(images)
            acc1, acc3 = accuracy(output, target, topk=(1, 3))
            losses.update(criterion(output, target).item(), images.size(0))
            top1.update(acc1, images.size(0))
            top3.update(acc3, images.size(0))
    return losses, top1, top3


def main():
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    train_loader = DataLoader(KeyCaps(1920, args.seed), batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(KeyCaps(640, args.seed + 1), batch_size=args.batch_size, shuffle=False)

    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(32, 40, 3, padding=1, bias=False), nn.BatchNorm2d(40), nn.ReLU(inplace=True),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(40 * 36, len(LEGENDS)),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)

    start = time.time()
    for epoch in range(args.epochs):
        losses = train(train_loader, model, criterion, optimizer)
        scheduler.step()
        if (epoch + 1) % args.print_freq == 0:
            print(f"epoch {epoch + 1} ({time.time() - start:.0f}s) train {losses}")
    losses, top1, top3 = validate(val_loader, model, criterion)
    print(f"validation: {losses}  {top1}%  {top3}%")


if __name__ == "__main__":
    main()
