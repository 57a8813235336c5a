"""Polka dots, plaids and friends: train / valid / test splits with one Dataset class."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

SETTINGS = dict(
    sizes={"train": 720, "valid": 300, "test": 300},
    side=24, crop=20, classes=6, batch=48, epochs=7, lr=5e-3, seed=33,
)


def pattern(rng, cls, side):
    yy, xx = np.mgrid[:side, :side].astype(np.float32)
    u, v = rng.uniform(0, 2 * math.pi, 2)
    w = 2 * math.pi / rng.uniform(4.5, 7.0)
    a, b = np.sin(w * xx + u), np.sin(w * yy + v)
    table = [a, b, np.maximum(a, b), a * b, np.sin(w * (xx + yy) * 0.7 + u), np.sin(w * (xx - yy) * 0.7 + u)]
    gain = rng.uniform(0.15, 0.3, (3, 1, 1))
    return (0.5 + gain * table[cls] + rng.normal(0, 0.6, (3, side, side))).astype(np.float32)


class Patterns(Dataset):
    def __init__(self, split, cfg, stats=None):
        self.split, self.crop = split, cfg["crop"]
        rng = np.random.default_rng([cfg["seed"], sorted(cfg["sizes"]).index(split)])
        n = cfg["sizes"][split]
        self.y = rng.permutation(np.arange(n) % cfg["classes"])
        x = np.stack([pattern(rng, c, cfg["side"]) for c in self.y])
        self.stats = stats or (x.mean((0, 2, 3), keepdims=True)[0], x.std((0, 2, 3), keepdims=True)[0])
        self.x = torch.from_numpy((x - self.stats[0]) / self.stats[1])

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        img = self.x[i]
        spare = img.shape[-1] - self.crop
        if self.split in ("valid", "test"):
            top = left = spare // 2
            return img[:, top:top + self.crop, left:left + self.crop], self.y[i]
        top, left = torch.randint(0, spare + 1, (2,)).tolist()
        img = img[:, top:top + self.crop, left:left + self.crop].clone()
        return self.erase(img), self.y[i]

    @staticmethod
    def erase(img, lo=6, hi=15):
        h, w = torch.randint(lo, hi, (2,)).tolist()
        t = int(torch.randint(0, img.shape[1] - h + 1, ()))
        s = int(torch.randint(0, img.shape[2] - w + 1, ()))
        img[:, t:t + h, s:s + w] = torch.randn(3, h, w)
        return img


class Net(nn.Module):
    def __init__(self, classes, width=20):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.relu(self.norm2(self.conv2(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def make_loaders(cfg):
    sets = {"train": Patterns("train", cfg)}
    for split in ("valid", "test"):
        sets[split] = Patterns(split, cfg, stats=sets["train"].stats)
    return {k: DataLoader(d, cfg["batch"], shuffle=k == "train", drop_last=k == "train") for k, d in sets.items()}


def evaluate(net, loader):
    net.eval()
    metrics = {"loss": 0.0, "acc": 0.0}
    with torch.no_grad():
        for x, y in loader:
            out = net(x)
            metrics["loss"] += F.cross_entropy(out, y, reduction="sum").item()
            metrics["acc"] += (out.argmax(1) == y).sum().item()
    return {k: v / len(loader.dataset) for k, v in metrics.items()}


def main(cfg=SETTINGS):
    torch.manual_seed(cfg["seed"])
    loaders = make_loaders(cfg)
    net = Net(cfg["classes"])
    opt = torch.optim.Adam(net.parameters(), lr=cfg["lr"])
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=1)
    for epoch in range(cfg["epochs"]):
        net.train()
        for x, y in loaders["train"]:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
        report = evaluate(net, loaders["valid"])
        plateau.step(report["loss"])
        print(f"epoch {epoch}: valid loss {report['loss']:.3f} acc {report['acc']:.3f}")
    print(f"test accuracy {evaluate(net, loaders['test'])['acc']:.3f} (not used above)")
    print(f"accuracy: {report['acc']:.3f}")


if __name__ == "__main__":
    main()
