import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

NAMES = ["ring", "box", "triangle", "cross"]


class ConvUnit(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, cin, cout, k=3, s=1, act=True):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.act = nn.SiLU() if act else nn.Identity()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class OutlineNet(nn.Module):
    def __init__(self, plan=((16, 1), (24, 2), (32, 2), (32, 1)), nc=len(NAMES)):
        super().__init__()
        units, cin = [], 1
        for cout, stride in plan:
            units.append(ConvUnit(cin, cout, 3, stride))
            cin = cout
        self.backbone = nn.Sequential(*units)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(cin, nc)

    def forward(self, x):
        return self.classify(self.pool(self.backbone(x)).flatten(1))


def outline(kind, rng, size=20):
    bright = rng.random() < 0.5
    ink = int(rng.integers(190, 240)) if bright else int(rng.integers(15, 65))
    im = Image.new("L", (size, size), 128)
    d = ImageDraw.Draw(im)
    r = int(rng.integers(5, 8))
    cx, cy = (int(v) for v in rng.integers(8, 12, 2))
    if kind == 0:
        d.ellipse([cx - r, cy - r, cx + r, cy + r], outline=ink, width=2)
    elif kind == 1:
        d.rectangle([cx - r, cy - r, cx + r, cy + r], outline=ink, width=2)
    elif kind == 2:
        corners = [(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r), (cx, cy - r)]
        d.line(corners, fill=ink, width=2)
    else:
        d.line([cx - r, cy - r, cx + r, cy + r], fill=ink, width=2)
        d.line([cx - r, cy + r, cx + r, cy - r], fill=ink, width=2)
    a = np.asarray(im, dtype=np.float32) / 255.0
    return a + rng.normal(0, 0.07, a.shape).astype(np.float32)


def dataset(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(NAMES), n)
    x = np.stack([outline(k, rng) for k in y])[:, None]
    return TensorDataset(torch.from_numpy((x - 0.5) / 0.17), torch.from_numpy(y).long())


@torch.no_grad()
def val(net, loader):
    net.eval()
    hits = n = 0
    for im, cls in loader:
        hits += (net(im).argmax(1) == cls).sum().item()
        n += len(cls)
    return hits / n


def train(epochs=5, bs=32, lr=2e-3, seed=0):
    torch.manual_seed(seed)
    train_loader = DataLoader(dataset(1600, seed + 70), bs, shuffle=True)
    val_loader = DataLoader(dataset(600, seed + 71), 200)
    net = OutlineNet()
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.75)
    for epoch in range(epochs):
        net.train()
        mloss = 0.0
        for i, (im, cls) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = criterion(net(im), F.one_hot(cls, len(NAMES)).float())
            loss.backward()
            optimizer.step()
            mloss = (mloss * i + loss.item()) / (i + 1)
        scheduler.step()
        print(f"{epoch + 1}/{epochs}  loss {mloss:.4g}")
    return val(net, val_loader)


if __name__ == "__main__":
    print(f"accuracy: {train():.3f}")
