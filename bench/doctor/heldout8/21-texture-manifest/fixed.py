"""Texture recognition from a manifest: images.npy plus train.csv and test.csv (columns: row,label)."""
import csv
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


# ---------------------------------------------------------------- making the data
def texture(rng, kind, n=28):
    yy, xx = np.mgrid[0:n, 0:n].astype(np.float32)
    f, ph = rng.uniform(0.7, 1.3), rng.uniform(0, 6.28, 2)
    if kind == "stripes":
        a = rng.uniform(0, 3.14)
        img = np.sin((xx * np.cos(a) + yy * np.sin(a)) * f + ph[0])
    elif kind == "checker":
        img = np.sign(np.sin(xx * f * 0.8 + ph[0]) * np.sin(yy * f * 0.8 + ph[1]))
    elif kind == "dots":
        img = 2.0 * ((np.sin(xx * f + ph[0]) + np.sin(yy * f + ph[1])) > 1.1) - 0.6
    elif kind == "rings":
        cx, cy = rng.uniform(6, n - 6, 2)
        img = np.sin(np.hypot(xx - cx, yy - cy) * f + ph[0])
    elif kind == "waves":
        img = np.sin(yy * f + 2.2 * np.sin(xx * 0.45 + ph[0]) + ph[1])
    elif kind == "bricks":
        h = int(rng.integers(5, 8))
        shift = (yy // h % 2) * h
        img = np.where((yy % h < 1) | ((xx + shift + int(ph[0] * 2)) % (2 * h) < 1), -1.5, 0.6)
    else:  # blotches
        img = np.kron(rng.normal(0, 1, (7, 7)), np.ones((4, 4)))[:n, :n]
    img = 128 + 45 * rng.uniform(0.6, 1.1) * img + rng.normal(0, 22, (n, n)) + rng.uniform(-25, 25)
    return np.clip(img, 0, 255).astype(np.uint8)


def export(folder, per_class_train=170, per_class_test=50):
    rng = np.random.default_rng(42)
    kinds = ["stripes", "checker", "dots", "rings", "waves", "bricks", "blotches"]
    images, tables = [], {"train": [], "test": []}
    for kind in kinds:
        for k in range(per_class_train + per_class_test):
            part = "train" if k < per_class_train else "test"
            tables[part].append((len(images), kind))
            images.append(texture(rng, kind))
    np.save(folder / "images.npy", np.stack(images))
    for part, rows in tables.items():
        rng.shuffle(rows)
        with open(folder / f"{part}.csv", "w", newline="") as fh:
            writer = csv.writer(fh)
            writer.writerow(["row", "label"])
            writer.writerows(rows)


# ---------------------------------------------------------------- dataset and net
class ManifestDataset(Dataset):
    def __init__(self, folder, part):
        store = np.load(folder / "images.npy")
        with open(folder / f"{part}.csv", newline="") as fh:
            rows = list(csv.DictReader(fh))
        self.classes = sorted(set(r["label"] for r in rows))
        class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.targets = torch.tensor([class_to_idx[r["label"]] for r in rows])
        self.images = torch.from_numpy(store[[int(r["row"]) for r in rows]]).unsqueeze(1)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return (self.images[i].float() - 128.0) / 64.0, self.targets[i]


class Separable(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.depth = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.norm1 = nn.BatchNorm2d(cin)
        self.point = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.relu(self.norm1(self.depth(x)))
        return F.relu(self.norm2(self.point(x)))


class TextureNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.blocks = nn.Sequential(Separable(24, 48), Separable(48, 64, 2), Separable(64, 96))
        self.fc = nn.Linear(96, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


# ---------------------------------------------------------------- training
def run_epoch(net, loader, optimizer=None):
    net.train(optimizer is not None)
    loss_sum = hits = seen = 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = net(x)
            loss = F.cross_entropy(out, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return loss_sum / seen, hits / seen


def main():
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as tmp:
        export(Path(tmp))
        train_set = ManifestDataset(Path(tmp), "train")
        test_set = ManifestDataset(Path(tmp), "test")
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=64)

    net = TextureNet(len(train_set.classes))
    optimizer = torch.optim.RMSprop(net.parameters(), lr=1.5e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[4, 5], gamma=0.3)
    for epoch in range(6):
        loss, acc = run_epoch(net, train_loader, optimizer)
        scheduler.step()
        print(f"epoch {epoch}: train loss {loss:.3f}, train accuracy {acc:.3f}")
    _, acc = run_epoch(net, test_loader)
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
