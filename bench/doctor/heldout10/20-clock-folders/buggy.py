"""Read the hour from tiny photos of wall clocks.

Layout of the data, as the labelling tool exports it:
    root/train/<hour>/*.png        hour = 1 .. 12
    root/test/<hour>/*.png
"""
import math
import os
import random
import shutil
import sys
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw

SIZE = 28


# ---------------------------------------------------------------- data export
def clock(hour, r):
    face, ink = r.randint(150, 255), r.randint(0, 70)
    im = Image.new("L", (84, 84), r.randint(40, 140))
    d = ImageDraw.Draw(im)
    cx, cy, rad = 42 + r.uniform(-4, 4), 42 + r.uniform(-4, 4), r.uniform(31, 37)
    d.ellipse([cx - rad, cy - rad, cx + rad, cy + rad], fill=face, outline=ink, width=2)
    for k in range(12):
        a = math.pi * k / 6
        d.line([cx + 0.85 * rad * math.sin(a), cy - 0.85 * rad * math.cos(a),
                cx + 0.95 * rad * math.sin(a), cy - 0.95 * rad * math.cos(a)], fill=ink, width=2)
    a = math.radians(30 * hour + r.uniform(-6, 6))
    d.line([cx - 6 * math.sin(a), cy + 6 * math.cos(a), cx + 0.72 * rad * math.sin(a), cy - 0.72 * rad * math.cos(a)], fill=ink, width=6)
    a = r.uniform(0, 2 * math.pi)  # second hand
    d.line([cx, cy, cx + 0.6 * rad * math.sin(a), cy - 0.6 * rad * math.cos(a)], fill=(ink + face) // 2, width=1)
    return im.resize((SIZE, SIZE), Image.BILINEAR)


def export(root, split, per_hour, seed):
    r = random.Random(seed)
    for hour in range(1, 13):
        os.makedirs(os.path.join(root, split, str(hour)))
        for k in range(per_hour):
            clock(hour, r).save(os.path.join(root, split, str(hour), "img%03d.png" % k))


# ---------------------------------------------------------------- reading
def read_png(path):
    with Image.open(path) as im:
        return np.asarray(im, dtype=np.float32)


def load_train(root):
    xs, ys = [], []
    for label, folder in enumerate(sorted(os.listdir(os.path.join(root, "train")))):
        base = os.path.join(root, "train", folder)
        for name in sorted(os.listdir(base)):
            xs.append(read_png(os.path.join(base, name)))
            ys.append(label)
    return np.stack(xs), np.array(ys)


def load_test(root):
    xs, ys = [], []
    for entry in os.scandir(os.path.join(root, "test")):
        hour = int(entry.name)
        for name in os.listdir(entry.path):
            xs.append(read_png(os.path.join(entry.path, name)))
            ys.append(hour - 1)
    return np.stack(xs), np.array(ys)


# ---------------------------------------------------------------- model
def conv(i, o, k=3, s=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o), nn.ELU())


def make_model():
    return nn.Sequential(conv(1, 12, 5, 2), conv(12, 24), nn.AvgPool2d(2), conv(24, 32),
                         nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ELU(), nn.Dropout(0.2), nn.Linear(64, 12))


def evaluate(model, x, y):
    model.eval()
    with torch.inference_mode():
        pred = torch.cat([model(b).argmax(-1) for b in x.split(120)])
    return pred.eq(y).float().mean().item()


def main(epochs=10, batch=48, lr=0.02):
    torch.manual_seed(12)
    root = tempfile.mkdtemp(prefix="clocks")
    try:
        export(root, "train", 70, seed=100)
        export(root, "test", 25, seed=200)
        (xa, ya), (xb, yb) = load_train(root), load_test(root)
    finally:
        shutil.rmtree(root)
    m, s = xa.mean(), xa.std()
    xa, xb = (torch.from_numpy((v - m) / s).unsqueeze(1) for v in (xa, xb))
    ya, yb = torch.from_numpy(ya), torch.from_numpy(yb)
    print("train", tuple(xa.shape), "test", tuple(xb.shape), "classes", len(ya.unique()), len(yb.unique()))

    model = make_model()
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=epochs)
    crit = nn.CrossEntropyLoss(label_smoothing=0.05)
    for e in range(1, epochs + 1):
        model.train()
        acc_loss, n = 0.0, 0
        for idx in torch.randperm(len(xa)).split(batch):
            loss = crit(model(xa[idx]), ya[idx])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            acc_loss += loss.item() * len(idx)
            n += len(idx)
        plan.step()
        print(f"{e:2d} train loss {acc_loss / n:.3f}", file=sys.stderr)
    print(f"train accuracy {evaluate(model, xa, ya):.4f}")
    print(f"test accuracy  {evaluate(model, xb, yb):.4f}")


if __name__ == "__main__":
    main()
