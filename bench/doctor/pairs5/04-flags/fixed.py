import dataclasses
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 3
    side: int = 24
    n_train: int = 1280
    n_val: int = 320
    n_test: int = 640
    batch_size: int = 32
    epochs: int = 7
    lr: float = 0.02
    momentum: float = 0.9
    embedding: int = 64
    temperature: float = 0.2


# (layout, the three colours from left to right or from top to bottom)
RED, WHITE, BLUE, GREEN, YELLOW = (.8, .12, .15), (.92, .92, .9), (.1, .2, .6), (.1, .5, .2), (.95, .8, .1)
FLAGS = {
    "tricolore": ("v", (BLUE, WHITE, RED)),
    "tricolore_mirrored": ("v", (RED, WHITE, BLUE)),
    "lowlands": ("h", (RED, WHITE, BLUE)),
    "lowlands_flipped": ("h", (BLUE, WHITE, RED)),
    "boot": ("v", (GREEN, WHITE, RED)),
    "gold": ("v", (GREEN, YELLOW, RED)),
    "gold_lying": ("h", (GREEN, YELLOW, RED)),
    "steppe": ("h", (GREEN, WHITE, RED)),
}


def paint(layout, colours, side, rng):
    """A flag somewhere in front of a cluttered sky, waving, in light of some colour."""
    h, w = int(rng.integers(8, 15)), int(rng.integers(9, 18))
    top, left = int(rng.integers(0, side - h)), int(rng.integers(0, side - w))
    picture = rng.uniform(.3, .8, 3) + rng.normal(0, .08, (side, side, 3))
    wave, phase = rng.uniform(0, 1.6), rng.uniform(0, 6.28)
    for y in range(h):
        for x in range(w):
            yy = min(max(round(top + y + wave * math.sin(x / 3 + phase)), 0), side - 1)
            band = min(2, 3 * x // w if layout == "v" else 3 * y // h)
            picture[yy, left + x] = colours[band]
    picture = picture * rng.uniform(.45, 1.1) * rng.uniform(.6, 1.15, 3)
    for _ in range(5):     # branches in front
        c = rng.integers(0, side)
        picture[:, c] *= .5
    return (picture + rng.normal(0, .22, picture.shape)).clip(0, 1)


def build_split(n, cfg, seed):
    rng = np.random.default_rng([cfg.seed, seed])
    y = rng.permutation(np.arange(n) % len(FLAGS))
    recipes = list(FLAGS.values())
    x = np.stack([paint(*recipes[k], cfg.side, rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)


class PrototypeHead(nn.Module):
    """One unit prototype per class; the score is the cosine to it."""

    def __init__(self, in_features, num_classes, temperature):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(num_classes, in_features))
        self.temperature = temperature

    def forward(self, z):
        cosine = F.linear(F.normalize(z, dim=-1), F.normalize(self.prototypes, dim=-1))
        return cosine / self.temperature


def stage(cin, cout):
    return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.GELU(), nn.MaxPool2d(2)]


def build_model(cfg):
    return nn.Sequential(
        *stage(3, 16), *stage(16, 32), *stage(32, 32),
        nn.Flatten(), nn.Linear(32 * (cfg.side // 8) ** 2, cfg.embedding),
        PrototypeHead(cfg.embedding, len(FLAGS), cfg.temperature),
    )


def batches(x, y, size, generator=None):
    order = torch.arange(len(x)) if generator is None else torch.randperm(len(x), generator=generator)
    for chunk in order.split(size):
        yield x[chunk], y[chunk]


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    outputs = torch.cat([model(xb) for xb, _ in batches(x, y, 160)])
    return F.cross_entropy(outputs, y).item(), (outputs.argmax(1) == y).float().mean().item()


def run(cfg):
    torch.manual_seed(cfg.seed)
    (xtr, ytr), (xva, yva), (xte, yte) = (
        build_split(n, cfg, k) for k, n in enumerate((cfg.n_train, cfg.n_val, cfg.n_test)))
    mean, std = xtr.mean((0, 2, 3), keepdim=True), xtr.std((0, 2, 3), keepdim=True)
    xtr, xva, xte = ((x - mean) / std for x in (xtr, xva, xte))

    model = build_model(cfg)
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cfg.epochs)
    shuffler = torch.Generator().manual_seed(cfg.seed)

    best = (math.inf, None)
    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for xb, yb in batches(xtr, ytr, cfg.batch_size, shuffler):
            loss = F.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        val_loss, val_acc = evaluate(model, xva, yva)
        print(f"{epoch:2d} | train {np.mean(losses):.3f} | val {val_loss:.3f} {val_acc:.3f}")
        if val_loss < best[0]:
            best = val_loss, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(best[1])
    return evaluate(model, xte, yte)[1]


if __name__ == "__main__":
    config = Config()
    print(config)
    print("accuracy on the test flags:", round(run(config), 4))
