"""Small CIFAR-10 run, configured by a JSON document."""
import json
import os

import numpy as np
import torch
import torch.nn as nn

CONFIG = json.loads("""
{
  "data":  {"train_files": ["data_batch_1.bin"], "test_file": "test_batch.bin",
            "classes": [0, 1, 4, 6, 8], "per_class_train": 400, "per_class_test": 120,
            "mean": [0.491, 0.482, 0.447], "std": [0.247, 0.243, 0.262]},
  "model": {"channels": [16, 32, 64], "hidden": 96, "dropout": 0.2},
  "optim": {"lr": 0.04, "momentum": 0.9, "epochs": 6, "batch_size": 50},
  "seed":  0
}
""")


def read_bin(path):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].astype(np.int64)


def invent(n, classes, seed):
    """Stand-in images (coloured gratings) for machines without CIFAR-10."""
    rng = np.random.default_rng(seed)
    y = rng.choice(classes, n)
    yy, xx = np.mgrid[0:32, 0:32]
    ang = (y * 0.31)[:, None, None]
    wave = np.sin((xx * np.cos(ang) + yy * np.sin(ang)) * 0.9 + rng.uniform(0, 6.28, (n, 1, 1)))
    x = 125 + 45 * wave[:, None] + rng.normal(0, 40, (n, 3, 32, 32))
    return np.clip(x, 0, 255).astype(np.uint8), y.astype(np.int64)


def load_split(cfg, train):
    base = os.environ.get("TENFOLD_DATA")
    folder = os.path.join(base, "cifar10", "cifar-10-batches-bin") if base else ""
    per_class = cfg["per_class_train"] if train else cfg["per_class_test"]
    if os.path.isdir(folder):
        files = cfg["train_files"] if train else [cfg["test_file"]]
        parts = [read_bin(os.path.join(folder, f)) for f in files]
        x = np.concatenate([p[0] for p in parts])
        y = np.concatenate([p[1] for p in parts])
    else:
        x, y = invent(per_class * len(cfg["classes"]) * 2, cfg["classes"], seed=1 if train else 2)
    keep = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in cfg["classes"]])
    y = np.searchsorted(cfg["classes"], y[keep])
    return torch.from_numpy(x[keep]), torch.from_numpy(y)


class Batches:
    """Iterates over (inputs, targets), with shuffling and mirroring if `train`."""

    def __init__(self, x, y, cfg, batch_size, train, device):
        self.x, self.y = x.to(device), y.to(device)
        self.mean = torch.tensor(cfg["mean"], device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(cfg["std"], device=device).view(1, 3, 1, 1)
        self.batch_size, self.train = batch_size, train

    def prepare(self, x):
        return (x.float() / 255 - self.mean) / self.std

    def __iter__(self):
        n = len(self.y)
        order = torch.randperm(n) if self.train else torch.arange(n)
        for idx in order.split(self.batch_size):
            idx = idx.to(self.y.device)
            x = self.prepare(self.x[idx])
            if self.train:
                flip = torch.rand(len(idx), device=x.device) < 0.5
                x = torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)
            yield x, self.y[idx]


def build_model(cfg, n_classes):
    layers, c = [], 3
    for w in cfg["channels"]:
        layers += [nn.Conv2d(c, w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        c = w
    layers += [nn.Flatten(), nn.Linear(c * 4 * 4, cfg["hidden"]), nn.ReLU(),
               nn.Dropout(cfg["dropout"]), nn.Linear(cfg["hidden"], n_classes)]
    return nn.Sequential(*layers)


def main(cfg):
    torch.manual_seed(cfg["seed"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    opt_cfg = cfg["optim"]
    train = Batches(*load_split(cfg["data"], True), cfg["data"], opt_cfg["batch_size"], True, device)
    test = Batches(*load_split(cfg["data"], False), cfg["data"], 200, False, device)

    model = build_model(cfg["model"], len(cfg["data"]["classes"])).to(device)
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=opt_cfg["lr"], momentum=opt_cfg["momentum"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, opt_cfg["epochs"])

    for epoch in range(opt_cfg["epochs"]):
        model.train()
        total, seen = 0.0, 0
        for x, y in train:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item() * len(y), seen + len(y)
        scheduler.step()
        print(f"epoch {epoch + 1}: loss {total / seen:.3f}")

    model.eval()
    with torch.no_grad():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in test)
    print(f"accuracy: {hits / len(test.y):.3f}")


if __name__ == "__main__":
    main(CONFIG)
