# Small residual net on three CIFAR-10 classes (automobile, frog, ship).
import os
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

WANTED = (1, 6, 8)


def read_bin(path, per_class):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    keep = np.concatenate([np.flatnonzero(raw[:, 0] == c)[:per_class] for c in WANTED])
    x = raw[keep, 1:].reshape(-1, 3, 32, 32)
    y = np.searchsorted(WANTED, raw[keep, 0])
    return torch.from_numpy(x.copy()), torch.from_numpy(y.astype(np.int64))


def invent(per_class, seed):
    """Stand-in when the real files are not there: soft blobs, bars and corners."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:32, 0:32]
    xs, ys = [], []
    for label in range(len(WANTED)):
        for _ in range(per_class):
            a, b = rng.uniform(9, 23, 2)
            if label == 0:
                m = np.exp(-((xx - a) ** 2 + (yy - b) ** 2) / rng.uniform(20, 60))
            elif label == 1:
                m = (np.abs(yy - b) < rng.uniform(2, 5)).astype(float)
            else:
                m = ((xx > a) & (yy > b)).astype(float)
            img = rng.uniform(40, 120, (3, 1, 1)) + m * rng.uniform(50, 120, (3, 1, 1)) + rng.normal(0, 18, (3, 32, 32))
            xs.append(img.clip(0, 255).astype(np.uint8))
            ys.append(label)
    return torch.from_numpy(np.stack(xs)), torch.tensor(ys)


def get_data():
    root = os.environ.get("TENFOLD_DATA")
    folder = pathlib.Path(root or ".") / "cifar10" / "cifar-10-batches-bin"
    if root and folder.is_dir():
        return read_bin(folder / "data_batch_2.bin", 400), read_bin(folder / "test_batch.bin", 200)
    return invent(400, 1), invent(200, 2)


class Unit(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv_a = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm_a = nn.BatchNorm2d(n_out)
        self.conv_b = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm_b = nn.BatchNorm2d(n_out)
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, kernel_size=1, stride=stride),
                nn.BatchNorm2d(n_out),
            )
        else:
            self.shortcut = nn.Identity()

    def forward(self, x):
        out = F.relu(self.norm_a(self.conv_a(x)))
        out = self.norm_b(self.conv_b(out))
        return F.relu(out + self.shortcut(x))


def build():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Unit(16, 16, 2), Unit(16, 32, 2), Unit(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(WANTED)),
    )


def split_decay(net, amount):
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    return [{"params": matrices, "weight_decay": amount}, {"params": vectors, "weight_decay": 0.0}]


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    x = F.pad(x, (2, 2, 2, 2))
    i, j = torch.randint(0, 5, (2,)).tolist()
    return x[:, :, i:i + 32, j:j + 32]


def fit(net, x, y, epochs=5, batch=60):
    opt = torch.optim.SGD(split_decay(net, 5e-4), lr=0.05, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x))
        total = 0.0
        for idx in order.split(batch):
            loss = F.cross_entropy(net(augment(x[idx])), y[idx])
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        print(f"{epoch + 1}/{epochs} train loss {total / len(x):.3f}")


def score(net, x, y):
    net.eval()
    with torch.no_grad():
        hits = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(x.split(200), y.split(200)))
    return hits / len(x)


if __name__ == "__main__":
    torch.manual_seed(3)
    (train_x, train_y), (test_x, test_y) = get_data()
    mean = train_x.float().mean((0, 2, 3), keepdim=True)
    std = train_x.float().std((0, 2, 3), keepdim=True)
    train_x, test_x = (train_x.float() - mean) / std, (test_x.float() - mean) / std
    net = build()
    fit(net, train_x, train_y)
    print(f"accuracy: {score(net, test_x, test_y):.3f}")
