"""Small conv trunk with a CLIP-style attention pool, on drawn two-object scenes."""
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ("disc", "square", "triangle", "cross", "ring", "bar")


@dataclass
class Config:
    size: int = 24
    n_train: int = 900
    n_test: int = 300
    batch_size: int = 60
    epochs: int = 6
    lr: float = 2e-3
    widths: tuple = (16, 32)
    pool: dict = field(default_factory=lambda: dict(embed_dim=32, num_heads=4))
    seed: int = 3


def draw_scene(rng, kind, size):
    img = Image.new("RGB", (size, size), tuple(int(v) for v in rng.integers(60, 120, 3)))
    d = ImageDraw.Draw(img)
    colour = tuple(int(v) for v in rng.integers(130, 256, 3))
    r = int(rng.integers(4, 7))
    cx, cy = (int(v) for v in rng.integers(r + 1, size - r - 1, 2))
    box = (cx - r, cy - r, cx + r, cy + r)
    if kind == "disc":
        d.ellipse(box, fill=colour)
    elif kind == "square":
        d.rectangle(box, fill=colour)
    elif kind == "triangle":
        d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=colour)
    elif kind == "cross":
        d.line((cx - r, cy, cx + r, cy), fill=colour, width=3)
        d.line((cx, cy - r, cx, cy + r), fill=colour, width=3)
    elif kind == "ring":
        d.ellipse(box, outline=colour, width=2)
    else:
        d.rectangle((cx - 2, cy - r, cx + 2, cy + r), fill=colour)
    arr = np.asarray(img, dtype=np.float32) / 255.0
    return arr + rng.normal(0, 0.06, arr.shape).astype(np.float32)


def build_arrays(n, cfg, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % len(SHAPES))
    x = np.stack([draw_scene(rng, SHAPES[k], cfg.size) for k in y])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)


class ConvUnit(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)


class AttentionPool(nn.Module):
    """Prepends the mean token and lets it attend over the grid (AttentionPool2d of CLIP)."""

    def __init__(self, grid, embed_dim, **kw):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(1, grid * grid + 1, embed_dim) * embed_dim ** -0.5)
        self.attn = nn.MultiheadAttention(embed_dim, **kw)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) + self.pos
        out, _ = self.attn(tokens, tokens, tokens, need_weights=False)
        return out[:, 0]


class SceneNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        chans = (3,) + cfg.widths
        self.trunk = nn.Sequential(*[ConvUnit(a, b) for a, b in zip(chans, chans[1:])])
        self.pool = AttentionPool(cfg.size // 2 ** len(cfg.widths), **cfg.pool)
        self.head = nn.Linear(cfg.pool["embed_dim"], len(SHAPES))

    def forward(self, x):
        return self.head(self.pool(self.trunk(x)))


@torch.no_grad()
def evaluate(net, loader):
    net.eval()
    hits = sum((net(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    xtr, ytr = build_arrays(cfg.n_train, cfg, cfg.seed)
    xte, yte = build_arrays(cfg.n_test, cfg, cfg.seed + 1)
    mean, std = xtr.mean((0, 2, 3), keepdim=True), xtr.std((0, 2, 3), keepdim=True)
    train = DataLoader(TensorDataset((xtr - mean) / std, ytr), cfg.batch_size, shuffle=True, drop_last=True)
    test = DataLoader(TensorDataset((xte - mean) / std, yte), cfg.batch_size)
    net = SceneNet(cfg)
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        net.train()
        running = 0.0
        for x, y in train:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            running += loss.item()
        print(f"epoch {epoch}: loss {running / len(train):.3f}")
    print(f"accuracy: {evaluate(net, test):.3f}")


if __name__ == "__main__":
    main()
