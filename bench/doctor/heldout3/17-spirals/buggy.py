# Spiral galaxies (synthetic): winding sense and number of arms from 40x40 cut-outs.
from dataclasses import dataclass
import random

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

CLASSES = ["2 arms, S", "2 arms, Z", "3 arms, S", "3 arms, Z"]


@dataclass
class Settings:
    side: int = 40
    n_train: int = 1600
    n_test: int = 480
    batch: int = 40
    epochs: int = 8
    lr: float = 3e-3
    p_turn: float = 0.75
    seed: int = 11


def synth(label, side, rng):
    arms, sense = 2 + label // 2, 1 if label % 2 == 0 else -1
    yy, xx = np.mgrid[:side, :side] - (side - 1) / 2
    xx, yy = xx - rng.uniform(-2, 2), yy - rng.uniform(-2, 2)
    r, phi = np.hypot(xx, yy) + 1e-3, np.arctan2(yy, xx)
    pitch = rng.uniform(2.0, 3.0)
    wave = np.cos(arms * (phi - sense * pitch * np.log(r / 4) - rng.uniform(0, 2 * np.pi)))
    light = np.exp(-r / rng.uniform(7, 10)) * (1 + 0.9 * wave) * 120 + 90 * np.exp(-(r / 3) ** 2)
    light = light + rng.normal(25, 9, light.shape)
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


class Galaxies(Dataset):
    def __init__(self, n, cfg, seed, mean=None, std=None, train=False):
        rng = np.random.default_rng(seed)
        self.labels = [i % len(CLASSES) for i in range(n)]
        self.images = [synth(k, cfg.side, rng) for k in self.labels]
        if mean is None:
            stack = np.stack([np.asarray(im) for im in self.images]) / 255.0
            mean, std = float(stack.mean()), float(stack.std())
        self.mean, self.std = mean, std
        self.p_turn = cfg.p_turn if train else 0.0

    def __len__(self):
        return len(self.labels)

    def orient(self, im):
        # the sky has no "up": every orientation of a cut-out is equally likely
        if random.random() < self.p_turn:
            im = im.transpose(random.choice(list(Image.Transpose)))
        return im

    def __getitem__(self, i):
        a = np.asarray(self.orient(self.images[i]), dtype=np.float32) / 255.0
        return torch.from_numpy((a - self.mean) / self.std).unsqueeze(0), self.labels[i]


class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        layers, c = [], 1
        for width, stride in ((16, 2), (24, 1), (32, 2), (48, 2)):
            layers += [nn.Conv2d(c, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            c = width
        self.body = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(c, n_classes)

    def forward(self, x):
        return self.fc(self.pool(self.body(x)).flatten(1))


def score(model, loader):
    model.eval()
    table = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
    with torch.no_grad():
        for x, y in loader:
            for t, p in zip(y, model(x).argmax(1)):
                table[t, p] += 1
    return table


if __name__ == "__main__":
    cfg = Settings()
    random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    train_set = Galaxies(cfg.n_train, cfg, seed=100, train=True)
    test_set = Galaxies(cfg.n_test, cfg, seed=200, mean=train_set.mean, std=train_set.std)
    train_loader = DataLoader(train_set, batch_size=cfg.batch, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=cfg.batch)

    model = Net(len(CLASSES))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    for epoch in range(cfg.epochs):
        model.train()
        seen = 0.0
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            seen += loss.item()
        print(f"{epoch + 1:2d}/{cfg.epochs}  loss {seen / len(train_loader):.3f}")
    table = score(model, test_loader)
    print(table)
    print(f"accuracy: {table.diag().sum().item() / table.sum().item():.3f}")
