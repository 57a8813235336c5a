#!/usr/bin/env python3
# Homework 4 - recognise hand-"stamped" capital letters with a CNN
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

# stroke fonts: every letter is a set of poly-lines on a 4 x 6 grid
STROKES = {
    "A": [[(0, 6), (2, 0), (4, 6)], [(1, 4), (3, 4)]],
    "E": [[(4, 0), (0, 0), (0, 6), (4, 6)], [(0, 3), (3, 3)]],
    "F": [[(4, 0), (0, 0), (0, 6)], [(0, 3), (3, 3)]],
    "H": [[(0, 0), (0, 6)], [(4, 0), (4, 6)], [(0, 3), (4, 3)]],
    "K": [[(0, 0), (0, 6)], [(4, 0), (0, 3), (4, 6)]],
    "L": [[(0, 0), (0, 6), (4, 6)]],
    "M": [[(0, 6), (0, 0), (2, 3), (4, 0), (4, 6)]],
    "N": [[(0, 6), (0, 0), (4, 6), (4, 0)]],
    "T": [[(0, 0), (4, 0)], [(2, 0), (2, 6)]],
    "V": [[(0, 0), (2, 6), (4, 0)]],
    "X": [[(0, 0), (4, 6)], [(4, 0), (0, 6)]],
    "Z": [[(0, 0), (4, 0), (0, 6), (4, 6)]],
}
LETTERS = sorted(STROKES)


def stamp(letter, rnd, size=28):
    im = Image.new("L", (size, size), 20)
    d = ImageDraw.Draw(im)
    sx, sy = rnd.uniform(3.2, 4.6), rnd.uniform(2.6, 3.4)
    ox, oy = rnd.uniform(2, 8), rnd.uniform(2, 6)
    shear = rnd.uniform(-0.25, 0.25)
    for line in STROKES[letter]:
        pts = [(ox + (x + shear * (3 - y)) * sx + rnd.uniform(-.8, .8), oy + y * sy + rnd.uniform(-.8, .8))
               for x, y in line]
        d.line(pts, fill=rnd.randint(150, 255), width=rnd.choice([1, 2, 2, 3]))
    return im


class Letters(Dataset):
    def __init__(self, n, seed):
        rnd = random.Random(seed)
        noise = np.random.RandomState(seed)
        imgs, self.labels = [], []
        for i in range(n):
            k = i % len(LETTERS)
            a = np.asarray(stamp(LETTERS[k], rnd), dtype=np.float32) / 255.0
            a = a + noise.normal(0, 0.12, a.shape).astype(np.float32)
            imgs.append((a - 0.19) / 0.26)
            self.labels.append(k)
        self.imgs = np.stack(imgs)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.imgs[i]).unsqueeze(0), self.labels[i]


def mlp(*widths, p=0.0):
    """Fully connected part: mlp(a, b, c) -> a to b to c."""
    layers = []
    for w_in, w_out in zip(widths[:-1], widths[1:]):
        layers += [nn.Linear(w_in, w_out), nn.ReLU()]
    layers.pop()
    if p > 0:
        layers.insert(2, nn.Dropout(p))
    return nn.Sequential(*layers)


class LetterNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, padding=2)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.c3 = nn.Conv2d(24, 32, 3, padding=1)
        self.head = mlp(32 * 3 * 3, 64, n_classes, p=0.2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        return self.head(x.flatten(1))


def run_epoch(net, loader, opt=None):
    training = opt is not None
    net.train(training)
    tot, good, cnt = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for xb, yb in loader:
            z = net(xb)
            loss = F.cross_entropy(z, yb)
            if training:
                opt.zero_grad()
                loss.backward()
                opt.step()
            tot += loss.item() * len(yb)
            good += (z.argmax(1) == yb).sum().item()
            cnt += len(yb)
    return tot / cnt, good / cnt


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=6)
    ap.add_argument("--bs", type=int, default=48)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--seed", type=int, default=3)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    train = DataLoader(Letters(1920, seed=11), batch_size=args.bs, shuffle=True)
    test = DataLoader(Letters(480, seed=12), batch_size=100)
    net = LetterNet(len(LETTERS))
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    for e in range(args.epochs):
        tl, ta = run_epoch(net, train, opt)
        vl, va = run_epoch(net, test)
        print("epoch %2d  train loss %.3f acc %.3f | held-out loss %.3f acc %.3f" % (e + 1, tl, ta, vl, va))
    print("accuracy: %.4f" % va)


if __name__ == "__main__":
    main()
