"""Blood smear classifier: red cell, lymphocyte, neutrophil, platelet clump."""
import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

log = logging.getLogger("smear")
CELL_TYPES = ["erythrocyte", "lymphocyte", "neutrophil", "platelets"]


def disc(d, x, y, r, colour):
    d.ellipse([x - r, y - r, x + r, y + r], fill=colour)


def shade(rng, base):
    return tuple(int(np.clip(b + rng.integers(-18, 19), 0, 255)) for b in base)


def render(kind, rng):
    im = Image.new("RGB", (32, 32), shade(rng, (225, 205, 205)))
    d = ImageDraw.Draw(im)
    x, y = 16 + rng.uniform(-3, 3, 2)
    r = rng.uniform(8, 11)
    if kind == "platelets":
        for _ in range(rng.integers(4, 8)):
            px, py = x + rng.normal(0, 5), y + rng.normal(0, 5)
            disc(d, px, py, rng.uniform(1.5, 2.5), shade(rng, (150, 100, 160)))
    elif kind == "erythrocyte":
        disc(d, x, y, r, shade(rng, (205, 120, 120)))
        disc(d, x, y, r * 0.4, shade(rng, (220, 160, 160)))
    else:
        disc(d, x, y, r, shade(rng, (190, 170, 210)))
        dark = shade(rng, (100, 60, 140))
        if kind == "lymphocyte":
            disc(d, x + rng.uniform(-1, 1), y + rng.uniform(-1, 1), r * 0.72, dark)
        else:
            turn = rng.uniform(0, 6.28)
            for k in range(3):
                a = turn + k * 1.5
                disc(d, x + 0.5 * r * np.cos(a), y + 0.5 * r * np.sin(a), r * 0.33, dark)
    a = np.asarray(im, dtype=np.float32) + rng.normal(0, 16, (32, 32, 3))
    return a.clip(0, 255).astype(np.uint8)


def write_archive(path, per_type, seed):
    rng = np.random.default_rng(seed)
    kinds = [k for k in range(len(CELL_TYPES)) for _ in range(per_type)]
    np.savez(path, image=np.stack([render(CELL_TYPES[k], rng) for k in kinds]), kind=np.array(kinds))


class SmearArchive(Dataset):
    MEAN = (0.80, 0.70, 0.75)
    STD = (0.15, 0.20, 0.15)

    def __init__(self, path):
        with np.load(path) as z:
            # decode once, keep everything in memory as float planes
            self.planes = z["image"].astype(np.float32).transpose(0, 3, 1, 2) / 255.0
            self.kind = z["kind"].astype(np.int64)

    def __len__(self):
        return self.kind.shape[0]

    def __getitem__(self, index):
        cell = torch.from_numpy(self.planes[index])
        for channel, mean, std in zip(cell, self.MEAN, self.STD):
            channel.sub_(mean).div_(std)
        return cell, self.kind[index]


class Mixed(nn.Module):
    """1x1, 3x3 and pooled branch side by side."""

    def __init__(self, cin, each):
        super().__init__()
        self.one = nn.Conv2d(cin, each, 1)
        self.three = nn.Sequential(nn.Conv2d(cin, each, 1), nn.ReLU(), nn.Conv2d(each, each, 3, padding=1))
        self.pooled = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(cin, each, 1))

    def forward(self, x):
        return torch.relu(torch.cat([self.one(x), self.three(x), self.pooled(x)], 1))


class SmearNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(),
            Mixed(16, 12), nn.MaxPool2d(2), Mixed(36, 16))
        self.out = nn.Conv2d(48, len(CELL_TYPES), 1)

    def forward(self, x):
        return self.out(self.body(x)).mean((-2, -1))


def fit(net, loader, epochs):
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(1, epochs + 1):
        net.train()
        for cells, kinds in loader:
            loss = nn.functional.cross_entropy(net(cells), kinds)
            opt.zero_grad()
            loss.backward()
            opt.step()
        log.info("epoch %d, last loss %.3f", epoch, loss.item())


@torch.no_grad()
def rate(net, loader):
    net.eval()
    ok = [(net(cells).argmax(1) == kinds) for cells, kinds in loader]
    return torch.cat(ok).float().mean().item()


def main():
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(99)
    with tempfile.TemporaryDirectory() as tmp:
        archive = Path(tmp) / "smears.npz"
        write_archive(archive, per_type=400, seed=6)
        data = SmearArchive(archive)
    order = torch.randperm(len(data)).tolist()
    train, test = Subset(data, order[:1240]), Subset(data, order[1240:])
    net = SmearNet()
    fit(net, DataLoader(train, batch_size=40, shuffle=True), epochs=7)
    log.info("test accuracy %.4f", rate(net, DataLoader(test, batch_size=100)))


if __name__ == "__main__":
    main()
