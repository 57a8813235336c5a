"""A small learning-rate sweep on a slice of CIFAR-10; the best checkpoint of all runs is kept."""
import copy
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZES = {"train": 1600, "val": 400, "test": 200}
RATES = (5e-4, 1e-3, 2e-3)
EPOCHS = 4


def synthetic(n):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % 10)
    images = rng.normal(110, 45, (n, 3, 32, 32))
    yy, xx = np.mgrid[:32, :32]
    for img, k in zip(images, labels):
        cx, cy = 16 + 9 * np.cos(k * 0.628), 16 + 9 * np.sin(k * 0.628)
        cx, cy = cx + rng.uniform(-3, 3), cy + rng.uniform(-3, 3)
        img += 70 * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / 18)
    return images.clip(0, 255).astype(np.uint8), labels


def load():
    n = sum(SIZES.values())
    path = os.path.join(os.environ.get("TENFOLD_DATA", "data"), "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
    if os.path.isfile(path):
        with open(path, "rb") as f:
            raw = np.frombuffer(f.read(n * 3073), dtype=np.uint8).reshape(n, 3073)
        images, labels = raw[:, 1:].reshape(n, 3, 32, 32), raw[:, 0]
    else:
        images, labels = synthetic(n)
    x = torch.tensor(images, dtype=torch.float32) / 255
    y = torch.tensor(labels.astype(np.int64))
    mean = x[:SIZES["train"]].mean(dim=(0, 2, 3), keepdim=True)
    std = x[:SIZES["train"]].std(dim=(0, 2, 3), keepdim=True)
    parts = zip(SIZES, ((x - mean) / std).split(list(SIZES.values())), y.split(list(SIZES.values())))
    return {name: (px, py) for name, px, py in parts}


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 8 * 8, 10),
    )


def train_epoch(net, opt, x, y):
    net.train()
    for idx in torch.randperm(len(x)).split(40):
        opt.zero_grad()
        F.cross_entropy(net(x[idx]), y[idx]).backward()
        opt.step()


@torch.no_grad()
def evaluate(net, x, y):
    net.eval()
    logits = net(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def main():
    split = load()
    best = {"acc": -1.0}
    for lr in RATES:
        net = make_net()
        opt = torch.optim.Adam(net.parameters(), lr=lr)
        sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
        for epoch in range(EPOCHS):
            train_epoch(net, opt, *split["train"])
            val_loss, _ = evaluate(net, *split["val"])
            sched.step(val_loss)
            _, acc = evaluate(net, *split["val"])
            print(f"lr {lr:g} epoch {epoch + 1}: val loss {val_loss:.4f} accuracy {acc:.3f}")
            if acc > best["acc"]:
                best = {"acc": acc, "lr": lr, "epoch": epoch + 1, "state": copy.deepcopy(net.state_dict())}
    print(f"best: lr {best['lr']:g}, epoch {best['epoch']}")
    net = make_net()
    net.load_state_dict(best["state"])
    _, acc = evaluate(net, *split["test"])
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
