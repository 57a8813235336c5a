import math
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image
from torch.utils.data import DataLoader, Dataset

CLASSES = ["check", "dots", "plain", "ribbed", "twill", "weave"]
SIZE = 32


def fabric(name, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    p = rng.uniform(5, 8)
    ox, oy = rng.uniform(0, p, 2)
    u, v = (xx + ox) * 2 * math.pi / p, (yy + oy) * 2 * math.pi / p
    if name == "check":
        t = np.sign(np.sin(u / 1.5)) * np.sign(np.sin(v / 1.5))
    elif name == "dots":
        t = np.where(np.cos(u) + np.cos(v) > 1.0, 1.0, -0.5)
    elif name == "plain":
        t = np.zeros_like(u) + rng.normal(0, 0.2, u.shape)
    elif name == "ribbed":
        t = np.sin(u)
    elif name == "twill":
        t = np.sin(u + v)
    else:
        t = np.sin(u) * (np.sin(v) > 0) + np.sin(v) * (np.sin(v) <= 0)
    colour = rng.uniform(70, 180, (1, 1, 3))
    img = colour + rng.uniform(20, 40) * t[..., None] + rng.normal(0, 16, (SIZE, SIZE, 3))
    return Image.fromarray(img.clip(0, 255).astype(np.uint8))


def write_images(root, counts, seed=11):
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                fabric(name, rng).save(folder / f"{i:04d}.png")


class FabricFolder(Dataset):
    def __init__(self, root):
        self.items = [(f, CLASSES.index(f.parent.name)) for f in sorted(Path(root).glob("*/*.png"))]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        a = np.asarray(Image.open(path), dtype=np.float32) / 127.5 - 1
        return torch.from_numpy(a).permute(2, 0, 1).contiguous(), label


class FabricNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        layers, cin = [], 3
        for cout in (12, 24, 48):
            layers += [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
            cin = cout
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(cin, n_classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class Trainer:
    def __init__(self, root, epochs=4, lr=2e-3):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.root = root
        self.epochs = epochs
        self.checkpoint = root / "fabric.pt"
        self.train_loader = DataLoader(FabricFolder(root / "train"), batch_size=24, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(FabricFolder(root / "val"), batch_size=60)
        self.net = FabricNet(len(CLASSES)).to(self.device)
        self.opt = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.loss = nn.CrossEntropyLoss()

    def run(self):
        best = -1.0
        for epoch in range(self.epochs):
            self.net.train()
            for x, y in self.train_loader:
                x, y = x.to(self.device), y.to(self.device)
                self.opt.zero_grad()
                self.loss(self.net(x), y).backward()
                self.opt.step()
            self.net.eval()
            acc = self.accuracy(self.net, self.val_loader)
            print(f"epoch {epoch}: val {acc:.3f}")
            if acc > best:
                best = acc
                torch.save(self.net.state_dict(), self.checkpoint)

    @torch.no_grad()
    def accuracy(self, net, loader):
        right, seen = 0, 0
        for x, y in loader:
            right += (net(x.to(self.device)).argmax(1).cpu() == y).sum().item()
            seen += len(y)
        return right / seen

    def test(self):
        net = FabricNet(len(CLASSES)).to(self.device)
        net.load_state_dict(torch.load(self.checkpoint, map_location=self.device))
        net.eval()
        loader = DataLoader(FabricFolder(self.root / "test"), batch_size=25)
        return self.accuracy(net, loader)


if __name__ == "__main__":
    random.seed(0)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_images(root, {"train": 112, "val": 20, "test": 50})
        trainer = Trainer(root)
        trainer.run()
        print(f"accuracy: {trainer.test():.3f}")
