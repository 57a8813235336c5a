"""Embedding network with an additive-margin (CosFace) objective on synthetic fabrics."""
import argparse
import math
import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


def parse_args():
    p = argparse.ArgumentParser()
    p.add_argument("--classes", type=int, default=8)
    p.add_argument("--per-class", type=int, default=75)
    p.add_argument("--size", type=int, default=20)
    p.add_argument("--dim", type=int, default=32)
    p.add_argument("--scale", type=float, default=12.0)
    p.add_argument("--margin", type=float, default=0.15)
    p.add_argument("--batch-size", type=int, default=50)
    p.add_argument("--epochs", type=int, default=5)
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=11)
    return p.parse_args()


class Fabric(Dataset):
    """Woven textures: class = (orientation of the weave); phase, period and tint are free."""

    def __init__(self, classes, per_class, size, seed):
        rng = np.random.default_rng(seed)
        yy, xx = np.mgrid[:size, :size].astype(np.float32)
        images, labels = [], []
        for c in range(classes):
            for _ in range(per_class):
                theta = math.pi * c / classes + rng.normal(0, 0.1)
                period = rng.uniform(4.0, 7.0)
                wave = np.sin(2 * math.pi * (xx * math.cos(theta) + yy * math.sin(theta)) / period
                              + rng.uniform(0, 2 * math.pi))
                tint = rng.uniform(0.4, 1.0, (3, 1, 1))
                img = 0.5 + 0.25 * tint * wave + rng.normal(0, 0.35, (3, size, size))
                images.append(img.astype(np.float32))
                labels.append(c)
        self.images = torch.from_numpy(np.stack(images))
        self.labels = torch.tensor(labels)

    def standardise(self, mean, std):
        self.images = (self.images - mean) / std
        return self

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class Embedder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        )
        self.project = nn.Linear(48, dim)

    def forward(self, x):
        return self.project(self.features(x).mean(dim=(2, 3)))


class CosineMargin(nn.Module):
    def __init__(self, dim, classes, scale, margin):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(classes, dim))
        self.scale, self.margin = scale, margin

    def cosine(self, emb):
        return F.linear(F.normalize(emb), F.normalize(self.prototypes))

    def forward(self, emb, target):
        cos = self.cosine(emb)
        cos = cos - self.margin * F.one_hot(target, cos.shape[1])
        return F.cross_entropy(self.scale * cos, target)


def train_one_epoch(net, criterion, loader, opt, sched):
    net.train()
    criterion.train()
    total = 0.0
    for images, target in loader:
        opt.zero_grad(set_to_none=True)
        loss = criterion(net(images), target)
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item() * len(target)
    return total / (len(loader) * loader.batch_size)


@torch.inference_mode()
def recall(net, criterion, loader):
    net.eval()
    criterion.eval()
    good = 0
    for images, target in loader:
        good += (criterion.cosine(net(images)).argmax(1) == target).sum().item()
    return {"top1": good / len(loader.dataset)}


def main():
    args = parse_args()
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    train_set = Fabric(args.classes, args.per_class, args.size, args.seed)
    test_set = Fabric(args.classes, 40, args.size, args.seed + 100)
    mean = train_set.images.mean((0, 2, 3)).view(3, 1, 1)
    std = train_set.images.std((0, 2, 3)).view(3, 1, 1)
    train_set.standardise(mean, std)
    test_set.standardise(mean, std)
    train_loader = DataLoader(train_set, args.batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, 120)

    net = Embedder(args.dim)
    criterion = CosineMargin(args.dim, args.classes, args.scale, args.margin)
    opt = torch.optim.SGD([*net.parameters(), *criterion.parameters()], lr=args.lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.epochs * len(train_loader))
    for epoch in range(1, args.epochs + 1):
        loss = train_one_epoch(net, criterion, train_loader, opt, sched)
        print(f"epoch {epoch:2d}  margin loss {loss:.4f}")
    print(f"accuracy: {recall(net, criterion, test_loader)['top1']:.3f}")


if __name__ == "__main__":
    main()
