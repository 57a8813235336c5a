"""Leaf species from silhouettes: depthwise-separable net, SGD with parameter groups."""
import time
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

HW = 28
SPECIES = ["oak", "maple", "willow", "birch", "ginkgo"]
WEIGHT_DECAY = 0.06
LR = 0.012


def leaf_batch(count, seed):
    g = np.random.default_rng(seed)
    grid = np.linspace(-1, 1, HW)
    px, py = np.meshgrid(grid, grid)
    images = np.zeros((count, 3, HW, HW), dtype=np.float32)
    species = g.permutation(np.arange(count) % len(SPECIES))
    for n, s in enumerate(species):
        turn = g.uniform(0, 2 * np.pi)
        x = px * np.cos(turn) - py * np.sin(turn) + g.uniform(-.1, .1)
        y = px * np.sin(turn) + py * np.cos(turn) + g.uniform(-.1, .1)
        r, t = np.hypot(x, y), np.arctan2(y, x)
        size = g.uniform(.6, .8)
        if s == 0:
            edge = size * (1 + .2 * np.cos(7 * t)) * .85
        elif s == 1:
            edge = size * (.75 + .3 * np.cos(5 * t))
        elif s == 2:
            edge = size / np.sqrt(np.cos(t) ** 2 + (np.sin(t) / .3) ** 2)
        elif s == 3:
            edge = size / np.sqrt(np.cos(t) ** 2 + (np.sin(t) / .7) ** 2)
        else:
            edge = size * np.clip(1.1 - np.abs(t) / 2.2, 0, 1)
        mask = (r < edge)[None]
        leaf = g.uniform([.1, .4, .05], [.5, .8, .3])[:, None, None]
        soil = g.uniform(.2, .7, 3)[:, None, None]
        images[n] = np.where(mask, leaf, soil) + g.normal(0, .1, (3, HW, HW))
    return torch.from_numpy(images), torch.from_numpy(species)


def separable(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.ReLU(inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class LeafNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)),
            separable(16, 32, 2),
            separable(32, 48, 2),
            separable(48, 64),
        )
        self.classifier = nn.Linear(64, len(SPECIES))

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def parameter_groups(model, weight_decay):
    """Decay the weights of the convolutions and of the classifier only."""
    decay, plain = [], []
    for name, p in model.named_parameters():
        if p.ndim == 1:
            plain.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def train(model, x, y, xv, yv, epochs=10, bs=30):
    optimizer = torch.optim.SGD(parameter_groups(model, WEIGHT_DECAY), lr=LR, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        start, seen = time.time(), 0.0
        model.train()
        for chunk in torch.randperm(len(x)).chunk(len(x) // bs):
            loss = F.cross_entropy(model(x[chunk]), y[chunk])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += loss.item() * len(chunk)
        schedule.step()
        print(f"epoch {epoch + 1}: loss {seen / len(x):.3f}, val {accuracy(model, xv, yv):.3f} ({time.time() - start:.1f}s)")


if __name__ == "__main__":
    torch.manual_seed(42)
    (x, y), (xv, yv), (xt, yt) = leaf_batch(1500, 7), leaf_batch(250, 8), leaf_batch(500, 9)
    m, s = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, xv, xt = (x - m) / s, (xv - m) / s, (xt - m) / s
    net = LeafNet()
    train(net, x, y, xv, yv)
    print(f"test accuracy: {accuracy(net, xt, yt):.4f}")
