"""Transfer: a body learnt on blobs of four outlines is reused for capital letters in bad print.
The new head is warmed up alone for an epoch, then the whole net is tuned."""
import math
import string

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, TensorDataset

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
LETTERS = string.ascii_uppercase[:20]
rng = np.random.default_rng(17)


def finish(im):
    a = np.asarray(im.resize((28, 28), Image.BILINEAR), np.float32) / 255
    return (a * rng.uniform(.6, 1) + rng.normal(0, .12, a.shape) - .25) / .3


def outline(sides):
    im = Image.new("L", (56, 56))
    cx, cy, r, t = *rng.uniform(22, 34, 2), rng.uniform(13, 21), rng.uniform(0, 6.3)
    pts = [(cx + r * math.cos(t + 2 * math.pi * k / sides), cy + r * math.sin(t + 2 * math.pi * k / sides))
           for k in range(sides)]
    ImageDraw.Draw(im).polygon(pts, fill=255)
    return finish(im)


def letter(char):
    font = ImageFont.load_default()
    left, top, right, bottom = font.getbbox(char)
    tile = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(tile).text((1 - left, 1 - top), char, fill=255, font=font)
    w, h = int(rng.integers(22, 38)), int(rng.integers(30, 44))
    tile = tile.resize((w, h), Image.BICUBIC).rotate(rng.uniform(-14, 14), expand=True, resample=Image.BILINEAR)
    im = Image.new("L", (56, 56))
    im.paste(tile, (int(rng.integers(0, max(1, 57 - tile.width))), int(rng.integers(0, max(1, 57 - tile.height)))))
    return finish(im)


def dataset(draw, symbols, n):
    y = rng.integers(0, len(symbols), n)
    x = np.stack([draw(symbols[k]) for k in y]).astype(np.float32)
    return TensorDataset(torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y))


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        def stage(i, o):
            return [nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*stage(1, 12), *stage(12, 32), *stage(32, 48), nn.Flatten())
        self.head = nn.Linear(48 * 3 * 3, classes)

    def forward(self, x):
        return self.head(self.body(x))


def run_epoch(net, loader, optimizer):
    net.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(DEVICE), y.to(DEVICE)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    return total / len(loader.dataset)


def pretrain(net):
    loader = DataLoader(dataset(outline, [3, 4, 6, 30], 600), batch_size=50, shuffle=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(2):
        print(f"outlines {epoch}: loss {run_epoch(net, loader, optimizer):.3f}")


def finetune(net, train_set, epochs=5):
    loader = DataLoader(train_set, batch_size=50, shuffle=True)
    for p in net.body.parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    print(f"letters warm-up: loss {run_epoch(net, loader, optimizer):.3f}")
    for p in net.body.parameters():
        p.requires_grad_(True)
    for epoch in range(epochs):
        print(f"letters {epoch}: loss {run_epoch(net, loader, optimizer):.3f}")


@torch.no_grad()
def evaluate(net, data):
    net.eval()
    return np.mean([(net(x.to(DEVICE)).argmax(1).cpu() == y).float().mean().item()
                    for x, y in DataLoader(data, batch_size=100)])


torch.manual_seed(17)
train_set, test_set = dataset(letter, LETTERS, 1600), dataset(letter, LETTERS, 500)
net = Net(4).to(DEVICE)
pretrain(net)
net.head = nn.Linear(net.head.in_features, len(LETTERS)).to(DEVICE)
finetune(net, train_set)
print(f"accuracy: {evaluate(net, test_set):.3f}")
