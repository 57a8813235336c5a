import dataclasses
import json
import math
import sys

import torch
from torch import nn


@dataclasses.dataclass
class Config:
    image_size: int = 28
    train_images: int = 2000
    test_images: int = 600
    channels: tuple = (16, 32, 64)
    activation: str = "LeakyRelu"
    batch_size: int = 50
    epochs: int = 7
    lr: float = 3e-3
    seed: int = 21


WEAVES = ("plain", "twill_s", "twill_z", "herringbone", "rib")


def weave(kind, size, g):
    def u(lo, hi):
        return lo + (hi - lo) * torch.rand((), generator=g).item()

    y, x = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
    y, x = y + u(0, 20), x + u(0, 20)
    period = u(4.0, 6.5)
    w = 2 * math.pi / period
    if kind == "plain":
        cloth = torch.sin(w * x) * torch.sin(w * y) * 1.4
    elif kind == "twill_s":
        cloth = torch.sin(w * (x + y) * 0.75)
    elif kind == "twill_z":
        cloth = torch.sin(w * (x - y) * 0.75)
    elif kind == "herringbone":
        fold = u(10, 14)
        zig = (x % fold - fold / 2).abs()
        cloth = torch.sin(w * (zig + y) * 0.75)
    else:
        cloth = torch.sin(w * (x if u(0, 1) < 0.5 else y))
    contrast = u(0.10, 0.22) * (1 if u(0, 1) < 0.5 else -1)
    dye = torch.rand(3, 1, 1, generator=g) * 0.5 + 0.25
    img = dye + contrast * cloth
    if u(0, 1) < 0.3:                      # crease
        r = int(u(2, size - 4))
        img[:, r:r + 2, :] -= 0.15
    return img + 0.13 * torch.randn(3, size, size, generator=g)


def make_data(cfg, count, seed):
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(WEAVES), (count,), generator=g)
    images = torch.stack([weave(WEAVES[k], cfg.image_size, g) for k in labels.tolist()])
    return images, labels


def conv_unit(cin, cout, cfg, stride):
    act = getattr(nn, cfg.activation, nn.Identity)
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        act(),
    )


class WeaveNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        units, cin = [], 3
        for i, cout in enumerate(cfg.channels):
            units.append(conv_unit(cin, cout, cfg, stride=1 if i == 0 else 2))
            cin = cout
        self.units = nn.ModuleList(units)
        self.classify = nn.Linear(cin, len(WEAVES))

    def forward(self, x):
        for unit in self.units:
            x = unit(x)
        return self.classify(x.mean(dim=(2, 3)))


def batches(images, labels, size, g):
    order = torch.randperm(len(labels), generator=g)
    for idx in order.split(size):
        yield images[idx], labels[idx]


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        guess = torch.cat([net(chunk).argmax(1) for chunk in images.split(200)])
    return (guess == labels).float().mean().item()


def run(cfg):
    torch.manual_seed(cfg.seed)
    x, y = make_data(cfg, cfg.train_images, seed=cfg.seed + 1)
    xt, yt = make_data(cfg, cfg.test_images, seed=cfg.seed + 2)
    centre, spread = x.mean(), x.std()
    x, xt = (x - centre) / spread, (xt - centre) / spread

    net = WeaveNet(cfg)
    optimiser = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    steps = cfg.epochs * math.ceil(len(y) / cfg.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    criterion = nn.CrossEntropyLoss()
    g = torch.Generator().manual_seed(cfg.seed + 3)
    for epoch in range(cfg.epochs):
        net.train()
        total = 0.0
        for bx, by in batches(x, y, cfg.batch_size, g):
            optimiser.zero_grad(set_to_none=True)
            loss = criterion(net(bx), by)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(by)
        print(json.dumps({"epoch": epoch, "loss": round(total / len(y), 4)}))
    return accuracy(net, xt, yt)


if __name__ == "__main__":
    overrides = dict(arg.split("=", 1) for arg in sys.argv[1:])
    types = {f.name: f.type for f in dataclasses.fields(Config) if f.type in (int, float, str)}
    config = Config(**{k: types[k](v) for k, v in overrides.items()})
    print(config)
    print("test accuracy", round(run(config), 4))
