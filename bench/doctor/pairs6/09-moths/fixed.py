"""Moth families, pictures gathered from four recording portals.

Volunteers often upload one picture to several portals, so repeated files are dropped on reading.
"""
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from scipy.ndimage import gaussian_filter

FAMILIES = ("geometridae", "noctuidae", "sphingidae", "zygaenidae")
PORTALS = ("faltermap", "lepidata", "moth-id", "nightwatch")
PX = 26


# ------------------------------------------------------------------------- crawl
def photograph(family, rng):
    yy, xx = np.mgrid[:PX, :PX] - (PX - 1) / 2
    a = rng.normal(0, 0.22)
    dy, dx = rng.normal(0, 1.2, 2)
    u = (np.cos(a) * (xx - dx) + np.sin(a) * (yy - dy)) / rng.uniform(0.8, 1.15)
    v = (-np.sin(a) * (xx - dx) + np.cos(a) * (yy - dy)) / rng.uniform(0.8, 1.15)
    span = {"geometridae": 9.5, "noctuidae": 7.5, "sphingidae": 10.5, "zygaenidae": 8.0}[family] * rng.lognormal(0, 0.08)
    width = {"geometridae": 6.5, "noctuidae": 6.0, "sphingidae": 3.6, "zygaenidae": 4.2}[family] * rng.lognormal(0, 0.1)
    wing = np.clip(1.6 * (1 - (u / span) ** 2 - ((v + 0.25 * np.abs(u)) / width) ** 2), 0, 1)
    scales = np.zeros((PX, PX))
    if family == "geometridae":
        scales = np.sin(np.abs(u) * rng.uniform(1.2, 2.0) + rng.uniform(0, 6))
    elif family == "noctuidae":
        scales = 1.6 * np.exp(-((np.abs(u) - rng.uniform(3, 4.5)) ** 2 + v ** 2) / 2.5)
    elif family == "zygaenidae":
        for r in rng.uniform(1.5, 6.5, 3):
            scales = np.maximum(scales, 1.6 * np.exp(-((np.abs(u) - r) ** 2 + (v - rng.normal(0, 1)) ** 2) / 1.2))
    wall = gaussian_filter(rng.normal(0, 1, (PX, PX, 3)), (3, 3, 0))
    img = rng.uniform(0.52, 0.88) + rng.normal(0, 0.06, 3) + 0.08 * wall / wall.std()
    colour = np.array([0.42, 0.36, 0.3]) + rng.normal(0, 0.09, 3)
    moth = colour + rng.uniform(0.13, 0.27) * scales[..., None]
    img = img * (1 - wing[..., None]) + moth * wing[..., None]
    img = img + rng.normal(0, 0.05, img.shape)
    return Image.fromarray((img.clip(0, 1) * 255).astype(np.uint8))


def crawl(root, sightings=680, seed=21):
    rng = np.random.default_rng(seed)
    for n in range(sightings):
        family = FAMILIES[n % len(FAMILIES)]
        picture = photograph(family, rng)
        for portal in rng.permutation(PORTALS)[:rng.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15])]:
            folder = root / portal / family
            folder.mkdir(parents=True, exist_ok=True)
            info = PngInfo()
            info.add_text("Source", f"https://{portal}.example/{rng.integers(10 ** 6)}")
            picture.save(folder / f"{rng.integers(10 ** 8):08d}.png", pnginfo=info)


# ------------------------------------------------------------------------- read
def collect(root):
    seen, images, labels = set(), [], []
    for path in sorted(root.glob("*/*/*.png")):
        digest = hashlib.md5(Image.open(path).tobytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        images.append(np.asarray(Image.open(path).convert("RGB")))
        labels.append(FAMILIES.index(path.parent.name))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255.0, torch.tensor(labels)


def three_parts(y, generator, val=0.12, test=0.25):
    take = {"train": [], "val": [], "test": []}
    for c in range(len(FAMILIES)):
        i = (y == c).nonzero().flatten()
        i = i[torch.randperm(len(i), generator=generator)]
        a, b = int(test * len(i)), int((test + val) * len(i))
        for name, piece in zip(("test", "val", "train"), (i[:a], i[a:b], i[b:])):
            take[name].append(piece)
    return {name: torch.cat(pieces) for name, pieces in take.items()}


# ------------------------------------------------------------------------- layers
class ConvUnit(nn.Module):
    def __init__(self, c_in, c_out, pool):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.pool = pool

    def forward(self, x):
        x = F.gelu(self.norm(self.conv(x)))
        return F.max_pool2d(x, 2) if self.pool else x


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.inner = nn.Sequential(ConvUnit(c, c, pool=False), nn.Conv2d(c, c, 3, padding=1, bias=False),
                                   nn.BatchNorm2d(c))

    def forward(self, x):
        return F.gelu(x + self.inner(x))


class MothNet(nn.Sequential):
    def __init__(self, width=20):
        super().__init__(ConvUnit(3, width, pool=True), ConvUnit(width, 2 * width, pool=True), Residual(2 * width),
                         nn.Flatten(), nn.Dropout(0.3), nn.Linear(2 * width * 36, len(FAMILIES)))


def param_groups(net, decay):
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def evaluate(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


def run(epochs=11, batch=32):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as tmp:
        crawl(Path(tmp))
        x, y = collect(Path(tmp))
    part = three_parts(y, torch.Generator().manual_seed(4))
    tr = part["train"]
    mean, std = x[tr].mean((0, 2, 3), keepdim=True), x[tr].std((0, 2, 3), keepdim=True)
    x = (x - mean) / std

    net = MothNet()
    optimizer = torch.optim.AdamW(param_groups(net, 0.02), lr=1.5e-3)
    best, best_state = 0.0, None
    for epoch in range(epochs):
        net.train()
        order = tr[torch.randperm(len(tr))]
        for step in range(len(order) // batch):
            i = order[step * batch:(step + 1) * batch]
            xb = x[i]
            mirrored = torch.rand(len(i)) < 0.5
            xb[mirrored] = xb[mirrored].flip(3)
            optimizer.zero_grad()
            loss = F.cross_entropy(net(xb), y[i])
            loss.backward()
            optimizer.step()
        val = evaluate(net, x[part["val"]], y[part["val"]])
        print(f"epoch {epoch:2d}  loss {loss.item():.3f}  val {val:.3f}")
        if val > best:
            best, best_state = val, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(best_state)
    print("test", round(evaluate(net, x[part["test"]], y[part["test"]]), 4))


if __name__ == "__main__":
    run()
