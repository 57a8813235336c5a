import argparse
import os

import numpy as np
import torch
from torch import nn, optim


def get_parser():
    p = argparse.ArgumentParser(description="conv stem + one attention layer")
    p.add_argument("--epochs", type=int, default=7)
    p.add_argument("--batch-size", type=int, default=64)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--classes", type=int, nargs="+", default=[0, 1, 6, 8])
    p.add_argument("--seed", type=int, default=0)
    return p


def read_images(classes, n_train=2000, n_test=600):
    root = os.environ.get("TENFOLD_DATA")
    if root:
        path = os.path.join(root, "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
        raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
        raw = raw[np.isin(raw[:, 0], classes)]
        labels = np.searchsorted(sorted(classes), raw[:, 0])
        pixels = raw[:, 1:].reshape(-1, 3, 32, 32)
    else:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, len(classes), n_train + n_test)
        grid = np.arange(32)
        wave = np.sin(grid[None, :] * (0.3 + 0.3 * labels[:, None]) + rng.uniform(0, 6, (len(labels), 1)))
        pixels = 128 + 60 * wave[:, None, None, :] + rng.normal(0, 30, (len(labels), 3, 32, 32))
        pixels = pixels.clip(0, 255).astype(np.uint8)
    x = torch.from_numpy(pixels.astype(np.float32) / 255.0)
    y = torch.from_numpy(labels.astype(np.int64))
    mean, std = x[:n_train].mean((0, 2, 3), keepdim=True), x[:n_train].std((0, 2, 3), keepdim=True)
    x = (x - mean) / std
    return (x[:n_train], y[:n_train]), (x[n_train:n_train + n_test], y[n_train:n_train + n_test])


class PatchAttentionNet(nn.Module):
    def __init__(self, num_classes, dim=48, heads=4):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(24, dim, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.pos = nn.Parameter(torch.zeros(1, 64, dim))
        self.norm = nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 96), nn.GELU(), nn.Linear(96, num_classes))

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)  # batch, tokens, dim
        tokens = self.norm(tokens + self.pos)
        mixed, _ = self.attn(tokens, tokens, tokens, need_weights=False)
        return self.mlp(mixed.mean(dim=1))


def run_epoch(model, data, batch_size, criterion, optimizer):
    model.train()
    x, y = data
    for idx in torch.randperm(len(x)).split(batch_size):
        if len(idx) < batch_size:
            continue
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(model, data, batch_size):
    model.eval()
    x, y = data
    right = sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(batch_size), y.split(batch_size)))
    return right / len(y)


def main():
    args = get_parser().parse_args()
    torch.manual_seed(args.seed)
    train, test = read_images(args.classes)
    model = PatchAttentionNet(len(args.classes))
    optimizer = optim.AdamW(model.parameters(), lr=args.lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        print("epoch", epoch, "last loss %.3f" % run_epoch(model, train, args.batch_size, criterion, optimizer))
    print("accuracy: %.3f" % accuracy(model, test, args.batch_size))


if __name__ == "__main__":
    main()
