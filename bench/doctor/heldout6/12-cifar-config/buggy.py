import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    n_train: int = 2000
    n_test: int = 600
    resize: int = 32
    crop: int = 28
    channels: tuple = (16, 32, 64)
    classes: int = 10
    batch_size: int = 32
    epochs: int = 5
    lr: float = 2e-3
    weight_decay: float = 5e-4
    seed: int = 7
    mean: tuple = (0.491, 0.482, 0.447)
    std: tuple = (0.247, 0.243, 0.262)


def read_batch(path, n):
    raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), raw[:, 0].astype(np.int64)


def made_up(n, seed):
    """Coloured gratings, for machines without CIFAR-10."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, n)
    yy, xx = np.mgrid[0:32, 0:32]
    angle = y * np.pi / 10
    wave = np.sin(0.7 * (xx * np.cos(angle)[:, None, None] + yy * np.sin(angle)[:, None, None])
                  + rng.uniform(0, 6, (n, 1, 1)))
    img = 128 + 50 * wave[..., None] * rng.uniform(0.3, 1, (n, 1, 1, 3)) + rng.normal(0, 25, (n, 32, 32, 3))
    return img.clip(0, 255).astype(np.uint8), y.astype(np.int64)


def load(cfg):
    root = os.environ.get("TENFOLD_DATA")
    if root:
        folder = Path(root) / "cifar10" / "cifar-10-batches-bin"
        return read_batch(folder / "data_batch_1.bin", cfg.n_train), read_batch(folder / "test_batch.bin", cfg.n_test)
    return made_up(cfg.n_train, 1), made_up(cfg.n_test, 2)


class CifarSlice(Dataset):
    def __init__(self, images, labels, cfg, train):
        self.images, self.labels, self.cfg, self.train = images, labels, cfg, train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        cfg = self.cfg
        img = self.images[i]
        if img.shape[0] != cfg.resize:
            img = np.asarray(Image.fromarray(img).resize((cfg.resize, cfg.resize), Image.BILINEAR))
        room = cfg.resize - cfg.crop
        if self.train:
            top, left = torch.randint(0, room + 1, (2,)).tolist()
        else:
            top = left = room // 2
        img = img[top:top + cfg.crop, left:left + cfg.crop]
        x = torch.from_numpy((img / 255.0 - cfg.mean) / cfg.std).float().permute(2, 0, 1)
        if self.train and torch.rand(()) < 0.5:
            x = x.flip(-1)
        return x, int(self.labels[i])


class ConvNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        c1, c2, c3 = cfg.channels
        self.conv1 = nn.Conv2d(3, c1, 3, padding=1)
        self.conv2 = nn.Conv2d(c1, c2, 3, padding=1)
        self.conv3 = nn.Conv2d(c2, c3, 3, padding=1)
        self.n_features = c3 * (cfg.resize // 8) ** 2
        self.fc1 = nn.Linear(self.n_features, 96)
        self.fc2 = nn.Linear(96, cfg.classes)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = x.view(-1, self.n_features)
        x = F.dropout(F.relu(self.fc1(x)), 0.2, self.training)
        return self.fc2(x)


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (xa, ya), (xb, yb) = load(cfg)
    train_loader = DataLoader(CifarSlice(xa, ya, cfg, True), cfg.batch_size, shuffle=True)
    test_loader = DataLoader(CifarSlice(xb, yb, cfg, False), cfg.batch_size)
    model = ConvNet(cfg).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cfg.epochs)

    for epoch in range(1, cfg.epochs + 1):
        model.train()
        losses = []
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
        print(f"epoch {epoch} loss {np.mean(losses):.3f}")

    model.eval()
    hits = 0
    with torch.no_grad():
        for x, y in test_loader:
            hits += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
    print(f"accuracy: {hits / len(test_loader.dataset):.3f}")


if __name__ == "__main__":
    main()
