"""Glyph classifier from very few drawn letters. Augmentation does most of the work."""
import random

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont

LETTERS = "AEFHKMNRVXYZ"
FONT = ImageFont.load_default(22)


def clean_letter(ch):
    im = Image.new("L", (32, 32), 0)
    ImageDraw.Draw(im).text((16, 16), ch, fill=230, font=FONT, anchor="mm")
    return im


def distort(im, rs):
    im = im.rotate(rs.uniform(-35, 35), resample=Image.BILINEAR, translate=tuple(rs.randint(-6, 7, 2)))
    s = rs.uniform(0.75, 1.2)
    off = 16 - 16 * s
    return im.transform((32, 32), Image.AFFINE, (s, rs.uniform(-.2, .2), off, 0, s, off), Image.BILINEAR)


def to_batch(images):
    arr = np.stack([np.asarray(i, dtype=np.float32) for i in images]) / 255.0
    return (torch.from_numpy(arr).unsqueeze(1) - 0.13) / 0.3


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(48 * 16, 64), nn.ReLU(), nn.Linear(64, len(LETTERS)))


def fit(net, epochs=40, per_class=12, bs=24):
    pool = [(clean_letter(c), k) for k, c in enumerate(LETTERS) for _ in range(per_class)]
    opt = torch.optim.Adam(net.parameters(), 1.5e-3)
    lossf = nn.CrossEntropyLoss()
    for ep in range(epochs):
        rs = np.random.RandomState(1000 + ep)
        net.train()
        images = [distort(im, rs) for im, _ in pool]
        x, y = to_batch(images), torch.tensor([k for _, k in pool])
        seen = 0.0
        for idx in torch.randperm(len(y)).split(bs):
            opt.zero_grad()
            loss = lossf(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            seen += loss.item() * len(idx)
        if ep % 10 == 9:
            print("ep", ep + 1, "loss", seen / len(y))


random.seed(5)
torch.manual_seed(5)
network = build()
fit(network)

field = np.random.RandomState(77)
truth = [i % len(LETTERS) for i in range(600)]
exam = to_batch([distort(clean_letter(LETTERS[k]), field) for k in truth])
network.eval()
with torch.no_grad():
    guess = network(exam).argmax(1)
print("accuracy: %.3f" % (guess == torch.tensor(truth)).float().mean())
