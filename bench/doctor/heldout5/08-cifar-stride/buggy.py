import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    n_train: int = 2000
    n_test: int = 500
    crop: int = 30
    batch_size: int = 50
    epochs: int = 5
    lr: float = 0.02
    seed: int = 1


def load_images(n, seed):
    path = os.environ.get("TENFOLD_DATA", "data") + "/cifar10/cifar-10-batches-bin/data_batch_1.bin"
    if os.path.exists(path):
        records = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10)
    yy, xx = np.mgrid[:32, :32]
    angle = (labels * np.pi / 10)[:, None, None]
    wave = np.sin(0.7 * (xx * np.cos(angle) + yy * np.sin(angle)) + rng.uniform(0, 6.28, (n, 1, 1)))
    tint = rng.uniform(0.5, 1.0, (n, 3, 1, 1))
    images = 128 + 50 * wave[:, None] * tint + rng.normal(0, 25, (n, 3, 32, 32))
    return images.clip(0, 255).astype(np.uint8), labels


def random_crop(batch, size):
    room = batch.size(-1) - size
    top, left = (int(v) for v in torch.randint(0, room + 1, (2,)))
    return batch[:, :, top:top + size, left:left + size]


def center_crop(batch, size):
    edge = (batch.size(-1) - size) // 2
    return batch[:, :, edge:edge + size, edge:edge + size]


class StrideNet(nn.Module):
    def __init__(self, size, num_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 48, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(inplace=True),
        )
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(48 * (size // 4) ** 2, num_classes)

    def forward(self, x):
        x = self.features(x)
        return self.fc(self.drop(x.flatten(1)))


def main(cfg):
    torch.manual_seed(cfg.seed)
    images, labels = load_images(cfg.n_train + cfg.n_test, cfg.seed)
    x = torch.from_numpy(images.copy()).float() / 255
    y = torch.from_numpy(labels)
    mean = x[:cfg.n_train].mean(dim=(0, 2, 3), keepdim=True)
    std = x[:cfg.n_train].std(dim=(0, 2, 3), keepdim=True)
    x = (x - mean) / std
    x_train, y_train = x[:cfg.n_train], y[:cfg.n_train]
    x_test, y_test = x[cfg.n_train:], y[cfg.n_train:]

    net = StrideNet(cfg.crop)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=cfg.epochs)
    for epoch in range(cfg.epochs):
        net.train()
        running = 0.0
        for idx in torch.randperm(cfg.n_train).split(cfg.batch_size):
            opt.zero_grad()
            loss = F.cross_entropy(net(random_crop(x_train[idx], cfg.crop)), y_train[idx])
            loss.backward()
            opt.step()
            running += loss.item() * len(idx)
        sched.step()
        print(f"epoch {epoch + 1}: loss {running / cfg.n_train:.4f}")

    net.eval()
    with torch.no_grad():
        pred = net(center_crop(x_test, cfg.crop)).argmax(dim=1)
    print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")


if __name__ == "__main__":
    main(Config())
