"""Reading a pressure gauge (10 zones of the dial) from a camera crop; one fold of a five-fold split."""
import math
import random

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, Subset

ZONES = 10
FOLDS = 5
SEED = 21


class GaugeDataset(Dataset):
    def __init__(self, n, seed):
        rnd = random.Random(seed)
        self.items = []
        for i in range(n):
            zone = i % ZONES
            self.items.append((self._render(zone, rnd), zone))
        rnd.shuffle(self.items)

    @staticmethod
    def _render(zone, rnd):
        img = Image.new("RGB", (64, 64), tuple(rnd.randint(30, 140) for _ in range(3)))
        d = ImageDraw.Draw(img)
        cx, cy, r = rnd.uniform(27, 37), rnd.uniform(27, 37), rnd.uniform(19, 26)
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=tuple(rnd.randint(170, 255) for _ in range(3)), outline=(20, 20, 20))
        tilt = rnd.uniform(-6, 6)
        for k in range(ZONES + 1):
            a = math.radians(225 - 270 * k / ZONES + tilt)
            d.line([cx + 0.85 * r * math.cos(a), cy - 0.85 * r * math.sin(a),
                    cx + r * math.cos(a), cy - r * math.sin(a)], fill=(40, 40, 40), width=1)
        a = math.radians(225 - 270 * (zone + rnd.uniform(0.12, 0.88)) / ZONES + tilt)
        ink = rnd.choice([(200, 30, 30), (20, 20, 20), (30, 40, 160)])
        d.line([cx - 0.2 * r * math.cos(a), cy + 0.2 * r * math.sin(a),
                cx + 0.8 * r * math.cos(a), cy - 0.8 * r * math.sin(a)], fill=ink, width=rnd.choice([3, 4, 5]))
        d.ellipse([cx - 3, cy - 3, cx + 3, cy + 3], fill=ink)
        small = np.asarray(img.resize((32, 32), Image.BILINEAR), dtype=np.float32)
        noise = np.random.default_rng(rnd.getrandbits(32)).normal(0, 16, small.shape)
        return np.clip(small + noise, 0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        img, zone = self.items[i]
        x = torch.from_numpy(img).permute(2, 0, 1).float().div(255)
        return (x - 0.5) / 0.27, zone


def fold_split(n, fold, seed):
    perm = np.random.default_rng(seed).permutation(n)
    parts = np.array_split(perm, FOLDS)
    rest = np.concatenate([p for k, p in enumerate(parts) if k != fold])
    return parts[fold].tolist(), rest.tolist()


def make_net():
    def stage(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(3, 12), *stage(12, 24), *stage(24, 48), nn.Flatten(),
                         nn.Linear(48 * 16, 64), nn.ReLU(), nn.Linear(64, ZONES))


def run_epoch(net, loader, loss_fn, opt=None):
    net.train(opt is not None)
    seen = hits = total = 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            out = net(x)
            loss = loss_fn(out, y)
            if opt is not None:
                opt.zero_grad()
                loss.backward()
                opt.step()
            total += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return total / seen, hits / seen


def main():
    torch.manual_seed(SEED)
    data = GaugeDataset(1000, SEED)
    train_idx, val_idx = fold_split(len(data), fold=0, seed=SEED)
    train = DataLoader(Subset(data, train_idx), batch_size=25, shuffle=True)
    val = DataLoader(Subset(data, val_idx), batch_size=128)

    net = make_net()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    epochs = 12
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    loss_fn = nn.CrossEntropyLoss()
    for e in range(epochs):
        tl, ta = run_epoch(net, train, loss_fn, opt)
        vl, va = run_epoch(net, val, loss_fn)
        sched.step()
        print(f"epoch {e + 1}  train {tl:.3f} / {ta:.3f}   held out {vl:.3f} / {va:.3f}")
    print(f"accuracy: {va:.3f}")


if __name__ == "__main__":
    main()
