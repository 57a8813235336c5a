#!/usr/bin/env python3
"""Train a VGG-ish net on engraved glyph plates, SGD + momentum, step schedule, gradient accumulation.

The plates are drawn on the fly. Accumulation lets the large effective batch fit in small memory.
"""
import argparse
import sys
import time

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

GLYPHS = "TLXHOVZ"
STROKES = {
    "T": [(0, 0, 1, 0), (.5, 0, .5, 1)],
    "L": [(0, 0, 0, 1), (0, 1, 1, 1)],
    "X": [(0, 0, 1, 1), (1, 0, 0, 1)],
    "H": [(0, 0, 0, 1), (1, 0, 1, 1), (0, .5, 1, .5)],
    "O": [(0, 0, 1, 0), (1, 0, 1, 1), (1, 1, 0, 1), (0, 1, 0, 0)],
    "V": [(0, 0, .5, 1), (1, 0, .5, 1)],
    "Z": [(0, 0, 1, 0), (1, 0, 0, 1), (0, 1, 1, 1)],
}


def plate(rng, glyph, side):
    big = side * 4
    ground = int(rng.integers(70, 180))
    img = Image.new("L", (big, big), ground)
    d = ImageDraw.Draw(img)
    w, h = rng.uniform(.34, .6, 2) * big
    x0, y0 = rng.uniform(.08, .92 - w / big) * big, rng.uniform(.08, .92 - h / big) * big
    ink = int(np.clip(ground + rng.choice([-1, 1]) * rng.uniform(35, 75), 0, 255))
    for a, b, c, e in STROKES[glyph]:
        j = rng.normal(0, .04, 4)
        d.line([x0 + (a + j[0]) * w, y0 + (b + j[1]) * h, x0 + (c + j[2]) * w, y0 + (e + j[3]) * h],
               fill=ink, width=int(rng.integers(6, 13)))
    for _ in range(int(rng.integers(1, 4))):  # scratches
        d.line(list(rng.uniform(0, big, 4)), fill=int(np.clip(ground + rng.normal(0, 50), 0, 255)), width=3)
    img = img.rotate(rng.uniform(-14, 14), Image.BILINEAR, fillcolor=ground).resize((side, side), Image.BOX)
    out = np.asarray(img, np.float32) / 255 + np.linspace(-.5, .5, side)[None, :] * rng.normal(0, .2)
    return out + rng.normal(0, .05, out.shape)


def build_set(n, side, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(GLYPHS))
    imgs = np.stack([plate(rng, GLYPHS[k], side) for k in labels])
    return torch.utils.data.TensorDataset(((torch.from_numpy(imgs).float() - .48) / .18)[:, None], torch.from_numpy(labels))


def make_layers(spec, channels=1):
    layers = []
    for item in spec:
        if item == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1, bias=False), nn.BatchNorm2d(item), nn.ReLU(inplace=True)]
            channels = item
    return nn.Sequential(*layers)


class PlateNet(nn.Module):
    def __init__(self, num_classes, side):
        super().__init__()
        self.features = make_layers([12, "M", 24, "M", 40, "M"])
        self.classifier = nn.Linear(40 * (side // 8) ** 2, num_classes)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def set_lr(optimizer, update, total_updates, args):
    """Step schedule: lr, then lr/10 from 60 % and lr/100 from 85 % of the run."""
    done = update / total_updates
    lr = args.lr * (1.0 if done < .60 else .1 if done < .85 else .01)
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr


@torch.no_grad()
def evaluate(model, loader, criterion):
    model.eval()
    loss = correct = n = 0
    for x, y in loader:
        out = model(x)
        loss += criterion(out, y).item() * y.numel()
        correct += out.argmax(1).eq(y).sum().item()
        n += y.numel()
    return loss / n, correct / n


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--epochs", type=int, default=9)
    ap.add_argument("--micro-batch", type=int, default=16)
    ap.add_argument("--accumulate", type=int, default=4)
    ap.add_argument("--lr", type=float, default=.04)
    ap.add_argument("--momentum", type=float, default=.9)
    ap.add_argument("--weight-decay", type=float, default=5e-4)
    ap.add_argument("--side", type=int, default=24)
    ap.add_argument("--seed", type=int, default=3)
    args = ap.parse_args(argv)

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train = torch.utils.data.DataLoader(build_set(1280, args.side, 10), args.micro_batch, shuffle=True, drop_last=True)
    valid = torch.utils.data.DataLoader(build_set(350, args.side, 11), 175)
    test = torch.utils.data.DataLoader(build_set(490, args.side, 12), 245)

    model = PlateNet(len(GLYPHS), args.side)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.SGD([{"params": decay, "weight_decay": args.weight_decay}, {"params": plain}],
                                lr=args.lr, momentum=args.momentum)
    criterion = nn.CrossEntropyLoss()
    total_updates = args.epochs * len(train) // args.accumulate

    seen = 0
    optimizer.zero_grad()
    for epoch in range(args.epochs):
        t0, running = time.time(), 0.0
        model.train()
        for x, y in train:
            lr = set_lr(optimizer, seen // args.accumulate, total_updates, args)
            loss = criterion(model(x), y)
            (loss / args.accumulate).backward()
            running += loss.item()
            seen += 1
            if seen % args.accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
        vl, va = evaluate(model, valid, criterion)
        print(f"epoch {epoch}: train loss {running / len(train):.3f}, valid loss {vl:.3f}, "
              f"valid acc {va:.3f} ({time.time() - t0:.1f}s)", file=sys.stderr)
    loss, acc = evaluate(model, test, criterion)
    print(f"test loss {loss:.4f}  test acc {acc:.4f}")


if __name__ == "__main__":
    main()
