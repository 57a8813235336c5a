"""Count blobs (1 to 5) in microscope-like pictures."""
import math
import time

import numpy as np
import torch
from torch import nn

CFG = dict(seed=4, size=32, n_train=1100, n_val=300, batch=50, epochs=6, lr=4e-3, weight_decay=0.05, warmup=20)


def picture(rng, count, size):
    yy, xx = np.mgrid[0:size, 0:size]
    img = np.full((size, size), rng.uniform(0.1, 0.3), np.float32)
    centres = []
    while len(centres) < count:
        c = rng.uniform(4, size - 4, 2)
        if all(np.hypot(*(c - o)) > 7.5 for o in centres):
            centres.append(c)
    for cy, cx in centres:
        r = rng.uniform(2.2, 3.0)
        img += rng.uniform(0.5, 0.7) * np.exp(-(((yy - cy) ** 2 + (xx - cx) ** 2) / r ** 2) ** 2)
    return img + rng.normal(0, 0.05, img.shape)


def make_data(n, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, n)
    images = np.stack([picture(rng, c, CFG["size"]) for c in counts]).astype(np.float32)
    return torch.from_numpy(images)[:, None], torch.from_numpy(counts - 1).long()


def conv_norm(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = conv_norm(width, width)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(x + self.second(self.act(self.first(x))))


class BlobCounter(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.stem = conv_norm(1, 16, 2)
        self.body = nn.Sequential(Residual(16), conv_norm(16, 32, 2), nn.SiLU(), Residual(32))
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.head = nn.Linear(32 * 16, classes)

    def forward(self, x):
        x = nn.functional.silu(self.stem(x))
        return self.head(self.pool(self.body(x)).flatten(1))


def make_optimizer(model):
    decay, plain = [], []
    for name, p in model.named_parameters():
        if name.endswith("bias") or "bn" in name or "norm" in name:
            plain.append(p)
        else:
            decay.append(p)
    groups = [{"params": decay, "weight_decay": CFG["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=CFG["lr"])


def schedule(step, total):
    if step < CFG["warmup"]:
        return (step + 1) / CFG["warmup"]
    done = (step - CFG["warmup"]) / (total - CFG["warmup"])
    return 0.02 + 0.49 * (1 + math.cos(math.pi * done))


def batches(x, y, size, shuffle):
    order = torch.randperm(len(y)) if shuffle else torch.arange(len(y))
    for part in order.split(size):
        yield x[part], y[part]


def validate(model, x, y, device):
    model.eval()
    hits = 0
    with torch.inference_mode():
        for xb, yb in batches(x, y, 200, shuffle=False):
            hits += (model(xb.to(device)).argmax(1) == yb.to(device)).sum().item()
    return hits / len(y)


def main():
    torch.manual_seed(CFG["seed"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x_train, y_train = make_data(CFG["n_train"], 1)
    x_val, y_val = make_data(CFG["n_val"], 2)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_val = (x_train - mean) / std, (x_val - mean) / std

    model = BlobCounter().to(device)
    optimizer = make_optimizer(model)
    total = CFG["epochs"] * math.ceil(len(y_train) / CFG["batch"])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: schedule(s, total))
    loss_fn = nn.CrossEntropyLoss()

    for epoch in range(CFG["epochs"]):
        began, seen = time.time(), 0.0
        model.train()
        for xb, yb in batches(x_train, y_train, CFG["batch"], shuffle=True):
            loss = loss_fn(model(xb.to(device)), yb.to(device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            scheduler.step()
            seen += loss.item() * len(yb)
        print(f"epoch {epoch}: loss {seen / len(y_train):.3f} ({time.time() - began:.1f} s)")
    print(f"accuracy: {validate(model, x_val, y_val, device):.3f}")


if __name__ == "__main__":
    main()
