"""CIFAR-10 slice with a saved split file, so that every experiment uses the same images."""
import json
import os
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

DATA = Path(os.environ["TENFOLD_DATA"]) / "cifar10" / "cifar-10-batches-bin"
TOTAL, HOLDOUT, SEED = 2400, 0.25, 19


def write_split(path, total, holdout, seed):
    """Stores the record numbers of both parts."""
    rng = np.random.default_rng(seed)
    cut = int(total * (1 - holdout))
    order = rng.permutation(total)
    split = {
        "train": order[:cut].tolist(),
        "holdout": order[cut:].tolist(),
    }
    path.write_text(json.dumps(split))


class Records(Dataset):
    def __init__(self, file, indices, stats=None):
        raw = np.memmap(file, np.uint8, "r").reshape(-1, 3073)[np.sort(indices)]
        self.y = torch.from_numpy(raw[:, 0].astype(np.int64))
        x = torch.from_numpy(np.array(raw[:, 1:])).view(-1, 3, 32, 32).float() / 255
        self.stats = stats or (x.mean((0, 2, 3)).view(3, 1, 1), x.std((0, 2, 3)).view(3, 1, 1))
        self.x = (x - self.stats[0]) / self.stats[1]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class FlipLoader:
    """Wraps a loader; mirrors half of each batch."""

    def __init__(self, loader):
        self.loader = loader

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for x, y in self.loader:
            flip = torch.rand(len(x)) < 0.5
            x[flip] = x[flip].flip(-1)
            yield x, y


def net():
    layers = OrderedDict()
    cin = 3
    for i, (cout, stride) in enumerate([(16, 2), (32, 2), (64, 2), (64, 1)]):
        layers[f"conv{i}"] = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        layers[f"bn{i}"] = nn.BatchNorm2d(cout)
        layers[f"relu{i}"] = nn.ReLU()
        cin = cout
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flat"] = nn.Flatten()
    layers["fc"] = nn.Linear(cin, 10)
    return nn.Sequential(layers)


def train(model, loader, epochs):
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        print(f"epoch {epoch}: loss {total / len(loader):.3f}")


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as tmp:
        index = Path(tmp) / "split.json"
        write_split(index, TOTAL, HOLDOUT, SEED)
        split = json.loads(index.read_text())
    train_set = Records(DATA / "data_batch_2.bin", split["train"])
    held_out = Records(DATA / "data_batch_2.bin", split["holdout"], train_set.stats)
    model = net()
    train(model, FlipLoader(DataLoader(train_set, 50, shuffle=True)), epochs=7)
    print(f"accuracy: {accuracy(model, DataLoader(held_out, 200)):.3f}")


if __name__ == "__main__":
    main()
