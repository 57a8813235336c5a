"""Fabric inspection: tell six kinds of weave apart from small PNG patches in class folders."""
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image
from torch.utils.data import DataLoader, Dataset, random_split

WEAVES = ["plain", "twill", "satin", "ripstop", "waffle", "hopsack"]
PER_CLASS = 267
SIZE = 32
BATCH = 32
EPOCHS = 4


def weave(kind, rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    xx += rng.uniform(0, 8)
    yy += rng.uniform(0, 8)
    p = rng.uniform(0.9, 1.15)
    if kind == "plain":
        v = np.sign(np.sin(xx * p * 1.6) * np.sin(yy * p * 1.6))
    elif kind == "twill":
        v = np.sin((xx + yy) * p * 0.9)
    elif kind == "satin":
        v = np.sin(xx * p * 0.5 + 0.3 * np.sin(yy * 0.4))
    elif kind == "ripstop":
        v = np.maximum(np.sin(xx * p * 0.8), np.sin(yy * p * 0.8)) ** 5
    elif kind == "waffle":
        v = np.abs(np.sin(xx * p * 0.4)) + np.abs(np.sin(yy * p * 0.4)) - 1
    else:
        v = np.sign(np.sin(xx * p * 0.8) * np.sin(yy * p * 0.8))
    base = rng.uniform(80, 160)
    grey = base + rng.uniform(20, 50) * v + rng.normal(0, 22, v.shape)
    tint = rng.uniform(0.75, 1.1, 3)
    return (grey[..., None] * tint).clip(0, 255).astype(np.uint8)


def write_folders(root, seed=5):
    rng = np.random.default_rng(seed)
    for kind in WEAVES:
        os.makedirs(os.path.join(root, kind))
        for i in range(PER_CLASS):
            Image.fromarray(weave(kind, rng)).save(os.path.join(root, kind, f"{i:04d}.png"))


class WeaveFolder(Dataset):
    def __init__(self, root):
        self.classes = sorted(os.listdir(root))
        self.samples = []
        for k, name in enumerate(self.classes):
            for f in sorted(os.listdir(os.path.join(root, name))):
                self.samples.append((os.path.join(root, name, f), k))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        with Image.open(path) as im:
            a = np.asarray(im.convert("RGB"), dtype=np.float32) / 255.0
        return torch.from_numpy((a - 0.45) / 0.2).permute(2, 0, 1), label


class WeaveNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        chans = [3, 16, 32, 64]
        blocks = []
        for i, o in zip(chans, chans[1:]):
            blocks += [nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
        self.trunk = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.embed = nn.Sequential(nn.Linear(64, 48, bias=False), nn.BatchNorm1d(48), nn.ReLU())
        self.out = nn.Linear(48, n_classes)

    def forward(self, x):
        x = self.pool(self.trunk(x)).flatten(1)
        return self.out(self.embed(x))


def run_epoch(model, loader, criterion, optimizer, scheduler, device):
    model.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item()
    return total / len(loader)


def accuracy(model, loader, device):
    model.eval()
    good = n = 0
    with torch.no_grad():
        for x, y in loader:
            good += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
            n += len(y)
    return good / n


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as root:
        write_folders(root)
        data = WeaveFolder(root)
        n_train = int(0.9 * len(data))
        train, held = random_split(data, [n_train, len(data) - n_train], torch.Generator().manual_seed(1))
        train_loader = DataLoader(train, batch_size=BATCH, shuffle=True, drop_last=True)
        held_loader = DataLoader(held, batch_size=BATCH)

        model = WeaveNet(len(data.classes)).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.1, epochs=EPOCHS, steps_per_epoch=len(train_loader))
        criterion = nn.CrossEntropyLoss()
        for epoch in range(EPOCHS):
            loss = run_epoch(model, train_loader, criterion, optimizer, scheduler, device)
            print(f"epoch {epoch}: loss {loss:.3f}")
        print(f"accuracy: {accuracy(model, held_loader, device):.3f}")


if __name__ == "__main__":
    main()
