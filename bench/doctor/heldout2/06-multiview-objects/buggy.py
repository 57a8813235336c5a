"""Classify little 'objects' seen from several viewpoints: the CNN embeds every view, the mean embedding is classified."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Cfg:
    classes: int = 6
    views: int = 3
    size: int = 14
    n_train: int = 720
    n_val: int = 300
    bs: int = 30
    epochs: int = 8
    lr: float = 2e-3
    seed: int = 5


def make_objects(n, cfg, protos, g):
    """Every object is a prototype bitmap, shown `views` times under a random shift, quarter turn and noise."""
    y = torch.randint(cfg.classes, (n,), generator=g)
    x = torch.zeros(n, cfg.views, 1, cfg.size, cfg.size)
    for i in range(n):
        for v in range(cfg.views):
            quarter = int(torch.randint(4, (1,), generator=g))
            dy, dx = torch.randint(0, cfg.size - 8 + 1, (2,), generator=g).tolist()
            x[i, v, 0, dy : dy + 8, dx : dx + 8] = torch.rot90(protos[y[i]], quarter, (0, 1))
    x += 0.8 * torch.randn(x.shape, generator=g)
    return x, y


class MultiViewNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc = nn.Linear(32, cfg.classes)

    def embed(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.relu(self.conv3(x)).amax(dim=(2, 3))

    def forward(self, x):
        b, v = x.shape[:2]
        feats = self.embed(x.view(b * v, *x.shape[2:]))
        feats = feats.view(v, b, -1).mean(0)
        return self.fc(feats)


def batches(x, y, bs, g=None):
    order = torch.randperm(len(x), generator=g) if g is not None else torch.arange(len(x))
    for idx in order.split(bs):
        yield x[idx], y[idx]


def main(cfg=Cfg()):
    torch.manual_seed(cfg.seed)
    g = torch.Generator().manual_seed(cfg.seed)
    protos = F.interpolate(torch.rand(cfg.classes, 1, 4, 4, generator=g).round(), scale_factor=2).squeeze(1) * 2
    xt, yt = make_objects(cfg.n_train, cfg, protos, g)
    xv, yv = make_objects(cfg.n_val, cfg, protos, g)
    m, s = xt.mean(), xt.std()
    xt, xv = (xt - m) / s, (xv - m) / s

    net = MultiViewNet(cfg)
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    for ep in range(cfg.epochs):
        net.train()
        for xb, yb in batches(xt, yt, cfg.bs, g):
            loss = F.cross_entropy(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            acc = sum((net(xb).argmax(1) == yb).sum().item() for xb, yb in batches(xv, yv, cfg.bs)) / len(yv)
        print(f"[{ep + 1}/{cfg.epochs}] last loss {loss.item():.3f}  val {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
