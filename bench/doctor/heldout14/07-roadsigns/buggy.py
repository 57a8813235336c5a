from __future__ import print_function
import argparse
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SIGNS = ['stop', 'yield', 'warning', 'no_entry', 'priority', 'parking', 'limit', 'ahead']
COLORS = {'r': (190, 30, 40), 'b': (30, 70, 170), 'y': (220, 190, 40), 'w': (235, 235, 235)}


def polygon(cx, cy, r, n, start):
    return [(cx + r * math.cos(start + 2 * math.pi * k / n),
             cy + r * math.sin(start + 2 * math.pi * k / n)) for k in range(n)]


def draw_sign(name, rng):
    def col(c):
        return tuple(int(min(255, max(0, v + rng.integers(-45, 46)))) for v in COLORS[c])

    im = Image.new('RGB', (64, 64), tuple(int(v) for v in rng.integers(40, 200, 3)))
    d = ImageDraw.Draw(im)
    for _ in range(4):  # clutter behind the sign
        x, y = rng.integers(0, 64, 2)
        w, h = rng.integers(6, 30, 2)
        d.rectangle([int(x), int(y), int(x + w), int(y + h)], fill=tuple(int(v) for v in rng.integers(30, 220, 3)))
    cx, cy = rng.uniform(26, 38, 2)
    r = rng.uniform(15, 24)
    circle = [cx - r, cy - r, cx + r, cy + r]
    if name == 'stop':
        d.polygon(polygon(cx, cy, r, 8, math.pi / 8), fill=col('r'))
        d.rectangle([cx - .6 * r, cy - .2 * r, cx + .6 * r, cy + .2 * r], fill=col('w'))
    elif name in ('yield', 'warning'):
        start = math.pi / 2 if name == 'yield' else -math.pi / 2
        d.polygon(polygon(cx, cy, r, 3, start), fill=col('r'))
        d.polygon(polygon(cx, cy, .6 * r, 3, start), fill=col('w'))
    elif name == 'no_entry':
        d.ellipse(circle, fill=col('r'))
        d.rectangle([cx - .65 * r, cy - .2 * r, cx + .65 * r, cy + .2 * r], fill=col('w'))
    elif name == 'priority':
        d.polygon(polygon(cx, cy, r, 4, 0), fill=col('w'))
        d.polygon(polygon(cx, cy, .7 * r, 4, 0), fill=col('y'))
    elif name == 'parking':
        d.rectangle([cx - .8 * r, cy - .8 * r, cx + .8 * r, cy + .8 * r], fill=col('b'))
        d.rectangle([cx - .3 * r, cy - .5 * r, cx + .2 * r, cy + .1 * r], outline=col('w'), width=3)
    elif name == 'limit':
        d.ellipse(circle, fill=col('r'))
        d.ellipse([cx - .7 * r, cy - .7 * r, cx + .7 * r, cy + .7 * r], fill=col('w'))
    else:
        d.ellipse(circle, fill=col('b'))
        d.polygon(polygon(cx, cy, .6 * r, 3, -math.pi / 2), fill=col('w'))
    im = im.rotate(rng.normal(0, 6), resample=Image.BILINEAR).resize((28, 28), Image.BOX)
    a = np.asarray(im, dtype=np.float32) / 255 * rng.uniform(.4, 1.0)
    return (a + rng.normal(0, .08, a.shape)).clip(0, 1).transpose(2, 0, 1)


def make(n, seed):
    rng = np.random.default_rng(seed)
    target = rng.permutation(np.arange(n) % len(SIGNS))
    data = np.stack([draw_sign(SIGNS[t], rng) for t in target])
    return torch.tensor(data, dtype=torch.float32), torch.tensor(target)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(800, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, len(SIGNS)))

    def forward(self, x):
        return F.log_softmax(self.head(self.body(x)), dim=1)


def train(args, model, train_loader, opt_body, opt_head, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        opt_head.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        opt_body.step()
        opt_head.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            pred = model(data).argmax(dim=1)
            correct += pred.eq(target).sum().item()
    return correct / len(test_loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Road sign example')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--epochs', type=int, default=9)
    parser.add_argument('--lr-body', type=float, default=0.02)
    parser.add_argument('--lr-head', type=float, default=1e-3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=25)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_x, train_y = make(1600, 10)
    test_x, test_y = make(640, 11)
    mean, std = train_x.mean(dim=(0, 2, 3), keepdim=True), train_x.std(dim=(0, 2, 3), keepdim=True)
    train_loader = DataLoader(TensorDataset((train_x - mean) / std, train_y), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset((test_x - mean) / std, test_y), batch_size=320)

    model = Net()
    opt_body = optim.SGD(model.body.parameters(), lr=args.lr_body, momentum=0.9)
    opt_head = optim.Adam(model.head.parameters(), lr=args.lr_head)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, opt_body, opt_head, epoch)
    print('Test accuracy: {:.4f}'.format(test(model, test_loader)))


if __name__ == '__main__':
    main()
