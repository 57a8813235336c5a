"""Short codes for pictures: a CNN squeezes each image into 24 values between -1 and 1, and a linear layer
reads the class off the code."""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

KEEP = [1, 6, 7, 8]  # automobile, frog, horse, ship
BITS = 24


def made_up(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(KEEP), n)
    gy, gx = np.mgrid[0:32, 0:32]
    out = np.empty((n, 3, 32, 32), np.uint8)
    for i, c in enumerate(labels):
        cy, cx, r = rng.integers(11, 21), rng.integers(11, 21), rng.integers(6, 10)
        dy, dx = np.abs(gy - cy), np.abs(gx - cx)
        m = [dy ** 2 + dx ** 2 < r * r, np.maximum(dy, dx) < r, dy + dx < r, (np.minimum(dy, dx) < 2) & (dy + dx < r)][c]
        img = np.where(m[None], rng.integers(0, 256, (3, 1, 1)), rng.integers(0, 256, (3, 1, 1)))
        out[i] = (img + rng.normal(0, 20, img.shape)).clip(0, 255)
    return out, labels


def read(names, limit, seed):
    root = os.environ.get("TENFOLD_DATA")
    if not root:
        return made_up(limit, seed)
    raw = [np.fromfile(os.path.join(root, "cifar10", "cifar-10-batches-bin", n), np.uint8) for n in names]
    rows = np.concatenate(raw).reshape(-1, 3073)
    rows = rows[np.isin(rows[:, 0], KEEP)][:limit]
    return rows[:, 1:].reshape(-1, 3, 32, 32), np.searchsorted(KEEP, rows[:, 0])


def tensors(pair):
    images, labels = pair
    x = torch.from_numpy(images.astype(np.float32) / 255)
    centre = torch.tensor([0.49, 0.48, 0.45]).view(1, 3, 1, 1)
    spread = torch.tensor([0.25, 0.24, 0.26]).view(1, 3, 1, 1)
    return (x - centre) / spread, torch.from_numpy(labels.astype(np.int64))


class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.n1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.n2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.n3 = nn.BatchNorm2d(64)
        self.to_code = nn.Linear(64, BITS)
        self.read_out = nn.Linear(BITS, len(KEEP))
        for m in (self.c1, self.c2, self.c3):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    def code(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        x = F.relu(self.n3(self.c3(x)))
        pooled = x.mean(dim=(2, 3))
        return torch.tanh(self.to_code(pooled))

    def forward(self, x):
        return self.read_out(self.code(x))


def run_epoch(model, x, y, opt, batch):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(batch):
        xb = x[idx]
        mirror = torch.rand(len(idx)) < 0.5
        xb = torch.where(mirror.view(-1, 1, 1, 1), xb.flip(3), xb)
        opt.zero_grad()
        loss = F.cross_entropy(model(xb), y[idx])
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(x)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return torch.cat([model(xb).argmax(1) for xb in x.split(200)]).eq(y).float().mean().item()


def main():
    torch.manual_seed(3)
    x, y = tensors(read(["data_batch_1.bin"], 2000, 0))
    x_test, y_test = tensors(read(["test_batch.bin"], 800, 1))
    model = Coder()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(4):
        if epoch == 3:
            for group in opt.param_groups:
                group["lr"] *= 0.3
        print(f"epoch {epoch}: loss {run_epoch(model, x, y, opt, batch=40):.3f}")
    print(f"accuracy: {accuracy(model, x_test, y_test):.3f}")


main()
