"""Leaf species from photographs. Every specimen was photographed several times on the light table;
files are <species>/<specimen>_<shot>.png."""
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

SPECIES = {"acer": 5, "ginkgo": 2, "hedera": 3, "liquidambar": 7, "quercus": 4}   # lobes
SPECIMENS, SHOTS, SIDE = 46, 5, 40


def photograph_all(root, seed=5):
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    number = 0
    for species, lobes in SPECIES.items():
        (root / species).mkdir(parents=True)
        for _ in range(SPECIMENS):
            number += 1
            outline = 1 + rng.uniform(0.22, 0.36) * np.cos(lobes * angles)
            for k in range(2, 9):                                   # the specimen's own irregularities
                outline += rng.normal(0, 0.04) * np.cos(k * angles + rng.uniform(0, 6.28))
            green = np.array([rng.uniform(40, 150), rng.uniform(90, 180), rng.uniform(20, 80)])
            size, turn = rng.uniform(22, 28), rng.normal(0, 0.5)
            stretch = rng.uniform(0.85, 1.15)
            table = rng.uniform(185, 235)
            for shot in range(SHOTS):
                im = Image.new("RGB", (2 * SIDE, 2 * SIDE), (int(table),) * 3)
                t = turn + rng.normal(0, 0.05)
                cx, cy = SIDE + rng.normal(0, 1.0, 2)
                x, y = outline * np.cos(angles) * size * stretch, outline * np.sin(angles) * size
                pts = np.stack([cx + x * np.cos(t) - y * np.sin(t), cy + x * np.sin(t) + y * np.cos(t)], 1)
                ImageDraw.Draw(im).polygon([tuple(p) for p in pts], fill=tuple(int(c) for c in green))
                small = np.asarray(im.resize((SIDE, SIDE), Image.BILINEAR), np.float32)
                small = small * rng.uniform(0.96, 1.04) + rng.normal(0, 4, small.shape)
                Image.fromarray(small.clip(0, 255).astype(np.uint8)).save(
                    root / species / f"L{number:03d}_{shot}.png")


def held_back(path):
    # a split by checksum stays the same when new pictures arrive
    key = path.stem
    return zlib.crc32(key.encode()) % 5 == 0


def load(paths):
    names = sorted(SPECIES)
    x = np.stack([np.asarray(Image.open(p)) for p in paths]).transpose(0, 3, 1, 2)
    y = [names.index(p.parent.name) for p in paths]
    return torch.from_numpy(x.astype(np.float32) / 255), torch.tensor(y)


class Separable(nn.Sequential):
    def __init__(self, cin, cout, stride=1):
        super().__init__(
            nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False), nn.BatchNorm2d(cin), nn.ReLU(),
            nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


def build_net():
    return nn.Sequential(
        nn.Conv2d(3, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        Separable(24, 48), Separable(48, 64, stride=2), Separable(64, 96), Separable(96, 128, stride=2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(128 * 25, len(SPECIES)))


def mirrored(x):
    flip = torch.rand(len(x), 1, 1, 1) < 0.5
    return torch.where(flip, x.flip(2), x)      # the leaf stalks lie to the right


def fit(net, x, y, epochs=5, batch=32, peak=3e-3):
    steps = len(x) // batch
    opt = torch.optim.Adam(net.parameters(), lr=peak)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, peak, total_steps=epochs * steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        net.train()
        losses = []
        for rows in torch.randperm(len(x))[:steps * batch].split(batch):
            opt.zero_grad()
            loss = loss_of(net(mirrored(x[rows])), y[rows])
            loss.backward()
            opt.step()
            sched.step()
            losses.append(loss.item())
        print(f"epoch {epoch}  loss {np.mean(losses):.3f}")


@torch.no_grad()
def score(net, x, y):
    net.eval()
    return (torch.cat([net(part) for part in x.split(100)]).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(8)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        photograph_all(root)
        everything = sorted(root.glob("*/*.png"))
        train = [p for p in everything if not held_back(p)]
        test = [p for p in everything if held_back(p)]
        (x, y), (xt, yt) = load(train), load(test)
    print(f"{len(train)} pictures to train on, {len(test)} held back")
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    net = build_net()
    fit(net, (x - mean) / std, y)
    print(f"accuracy: {score(net, (xt - mean) / std, yt):.3f}")


if __name__ == "__main__":
    main()
