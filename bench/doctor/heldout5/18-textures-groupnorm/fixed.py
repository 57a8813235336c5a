import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

KINDS = ("stripes", "checker", "rings", "dots", "clouds")
YY, XX = np.mgrid[:24, :24].astype(np.float32)


def texture(kind, rng):
    f = rng.uniform(0.10, 0.20)
    dx, dy = rng.uniform(0, 24, 2)
    if kind == "stripes":
        a = rng.uniform(0, np.pi)
        z = np.sin(2 * np.pi * f * (XX * np.cos(a) + YY * np.sin(a)) + dx)
    elif kind == "checker":
        z = np.sign(np.sin(2 * np.pi * f * (XX + dx)) * np.sin(2 * np.pi * f * (YY + dy)))
    elif kind == "rings":
        z = np.sin(2 * np.pi * f * np.hypot(XX - dx, YY - dy) + rng.uniform(0, 6.28))
    elif kind == "dots":
        z = ((1 + np.sin(2 * np.pi * f * (XX + dx))) * (1 + np.sin(2 * np.pi * f * (YY + dy)))) ** 2
    else:
        z = rng.normal(size=(24, 24))
        for _ in range(2):
            z = z + sum(np.roll(z, s, axis) for s in (-1, 1) for axis in (0, 1))
    z = (z - z.mean()) / (z.std() + 1e-6)
    return (z + rng.normal(0, 0.7, z.shape)).astype(np.float32)


class Textures(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, len(KINDS), n)
        self.x = np.stack([texture(KINDS[k], rng) for k in self.y])[:, None]
        self.x = self.x / 1.22

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i]), int(self.y[i])


def norm(channels):
    return nn.GroupNorm(min(4, channels), channels)


class TextureNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), norm(16), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(
            nn.Conv2d(16, 32, 3, padding=1, bias=False), norm(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1, bias=False), norm(32), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(norm(32), nn.Flatten(), nn.Linear(32, n_classes))

    def forward(self, x):
        return self.head(self.pool(self.body(self.stem(x))))


def run_epoch(net, loader, loss_fn, opt=None):
    net.train(opt is not None)
    total, right, seen = 0.0, 0, 0
    with torch.set_grad_enabled(opt is not None):
        for x, y in loader:
            out = net(x)
            loss = loss_fn(out, y)
            if opt is not None:
                opt.zero_grad()
                loss.backward()
                opt.step()
            total += loss.item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return total / seen, right / seen


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=4)
    ap.add_argument("--batch-size", type=int, default=50)
    ap.add_argument("--lr", type=float, default=0.05)
    ap.add_argument("--seed", type=int, default=3)
    args = ap.parse_args()
    torch.manual_seed(args.seed)

    train = DataLoader(Textures(2000, args.seed), args.batch_size, shuffle=True)
    test = DataLoader(Textures(500, args.seed + 1000), 100)
    net = TextureNet(len(KINDS))
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.epochs)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        loss, acc = run_epoch(net, train, loss_fn, opt)
        sched.step()
        print(f"[{epoch + 1}/{args.epochs}] loss {loss:.3f} train accuracy {acc:.3f}")
    _, acc = run_epoch(net, test, loss_fn)
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
