"""Trains on image stacks kept in memory-mapped files; readers avoid allocations per item."""
import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


def get_args():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--train-size", type=int, default=600)
    ap.add_argument("--test-size", type=int, default=250)
    ap.add_argument("--epochs", type=int, default=5)
    ap.add_argument("--batch", type=int, default=40)
    ap.add_argument("--lr", type=float, default=4e-3)
    ap.add_argument("--seed", type=int, default=2)
    return ap.parse_args()


NAMES = ("left", "right", "up", "down", "centre")


def synth(rng, label, size=20):
    """A bright wedge whose direction is the class, on a noisy coloured ground."""
    yy, xx = np.mgrid[:size, :size] - (size - 1) / 2.0
    sx, sy = rng.uniform(-2, 2, 2)
    xx, yy = xx - sx, yy - sy
    along, across = [(-xx, yy), (xx, yy), (-yy, xx), (yy, xx), (np.hypot(xx, yy) - 4, xx * 0)][label]
    mask = (along > 0) & (np.abs(across) < 0.7 * along) if label < 4 else along < 0
    img = rng.uniform(40, 110, 3)[:, None, None] + rng.uniform(50, 110) * mask[None]
    return np.clip(img + rng.normal(0, 28, (3, size, size)), 0, 255).astype(np.uint8)


def export(folder, name, n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(NAMES))
    stack = np.memmap(folder / f"{name}.dat", np.uint8, "w+", shape=(n, 3, 20, 20))
    for i, c in enumerate(labels):
        stack[i] = synth(rng, c)
    stack.flush()
    np.save(folder / f"{name}_labels.npy", labels)
    meta = {"shape": stack.shape, "mean": np.mean(stack, (0, 2, 3)).tolist(), "std": np.std(stack, (0, 2, 3)).tolist()}
    (folder / f"{name}.json").write_text(json.dumps(meta))


class StackReader(Dataset):
    def __init__(self, folder, name, stats="train"):
        meta = json.loads((folder / f"{name}.json").read_text())
        norm = json.loads((folder / f"{stats}.json").read_text())
        self.stack = np.memmap(folder / f"{name}.dat", np.uint8, "r", shape=tuple(meta["shape"]))
        self.labels = np.load(folder / f"{name}_labels.npy")
        self.mean = np.float32(norm["mean"])[:, None, None]
        self.scale = 1 / np.float32(norm["std"])[:, None, None]
        self.work = np.empty(self.stack.shape[1:], np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        np.subtract(self.stack[i], self.mean, out=self.work)
        np.multiply(self.work, self.scale, out=self.work)
        return torch.from_numpy(self.work.copy()), int(self.labels[i])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 5 * 5, 48)
        self.fc2 = nn.Linear(48, len(NAMES))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def train(net, loader, opt, epoch):
    net.train()
    for step, (x, y) in enumerate(loader):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print(f"Train epoch {epoch}\tloss {loss.item():.4f}")


def test(net, loader):
    net.eval()
    loss, hits = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            out = net(x)
            loss += F.cross_entropy(out, y, reduction="sum").item()
            hits += (out.argmax(1) == y).sum().item()
    n = len(loader.dataset)
    return {"loss": loss / n, "accuracy": hits / n}


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        export(folder, "train", args.train_size, args.seed)
        export(folder, "test", args.test_size, args.seed + 1)
        train_loader = DataLoader(StackReader(folder, "train"), args.batch, shuffle=True)
        test_loader = DataLoader(StackReader(folder, "test"), 125)
        net = Net()
        opt = torch.optim.Adam(net.parameters(), lr=args.lr)
        for epoch in range(1, args.epochs + 1):
            train(net, train_loader, opt, epoch)
        print("accuracy: {accuracy:.3f}".format(**test(net, test_loader)))


if __name__ == "__main__":
    main()
