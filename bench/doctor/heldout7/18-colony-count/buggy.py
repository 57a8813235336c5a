import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    n_train: int = 1000
    n_test: int = 300
    max_colonies: int = 5
    side: int = 40
    crop_scale: tuple = (0.08, 1.0)
    crop_ratio: tuple = (0.95, 1.05)
    batch_size: int = 25
    epochs: int = 6
    lr: float = 0.01
    seed: int = 21


def petri_dish(n, side, rng):
    """A dish with n colonies, none touching another; drawn at 2x and shrunk."""
    big = side * 2
    agar = rng.integers(25, 75)
    im = Image.new("RGB", (big, big), (agar, agar + 12, agar + 4))
    draw = ImageDraw.Draw(im)
    placed = []
    while len(placed) < n:
        r = rng.uniform(1.8, 4.0) * 2
        cx, cy = rng.uniform(r + 6, big - r - 6, 2)
        if all(math.hypot(cx - x, cy - y) > r + q + 4 for x, y, q in placed):
            placed.append((cx, cy, r))
    for cx, cy, r in placed:
        tone = rng.integers(190, 245)
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=(tone, tone - 15, tone - 60))
    im = im.filter(ImageFilter.GaussianBlur(1)).resize((side, side), Image.BILINEAR)
    noisy = np.asarray(im, dtype=np.float32) + rng.normal(0, 6, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


class ResizedCrop:
    def __init__(self, side, scale, ratio, rng):
        self.side, self.scale, self.ratio, self.rng = side, scale, ratio, rng

    def __call__(self, im):
        w, h = im.size
        area = w * h * self.rng.uniform(*self.scale)
        aspect = math.exp(self.rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
        cw = min(w, round(math.sqrt(area * aspect)))
        ch = min(h, round(math.sqrt(area / aspect)))
        x, y = self.rng.integers(0, w - cw + 1), self.rng.integers(0, h - ch + 1)
        im = im.crop((x, y, x + cw, y + ch)).resize((self.side, self.side), Image.BILINEAR)
        if self.rng.random() < 0.5:
            im = im.transpose(Image.FLIP_LEFT_RIGHT)
        return im


class Dishes(Dataset):
    def __init__(self, count, cfg, seed, transform=None):
        rng = np.random.default_rng(seed)
        self.labels = [i % cfg.max_colonies for i in range(count)]
        self.images = [petri_dish(c + 1, cfg.side, rng) for c in self.labels]
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        im = self.images[i]
        if self.transform is not None:
            im = self.transform(im)
        x = torch.from_numpy(np.array(im)).permute(2, 0, 1).float()
        return (x - 75.0) / 55.0, self.labels[i]


class Counter(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.conv3 = nn.Conv2d(24, 48, 3, stride=2, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(48)
        self.fc1 = nn.Linear(48 * 2, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = torch.relu(self.bn3(self.conv3(x)))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        return self.fc2(torch.relu(self.fc1(x)))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(cfg.seed)
        crop = ResizedCrop(cfg.side, cfg.crop_scale, cfg.crop_ratio, np.random.default_rng(cfg.seed))
        self.train_loader = DataLoader(Dishes(cfg.n_train, cfg, cfg.seed + 1, crop),
                                       batch_size=cfg.batch_size, shuffle=True)
        self.test_loader = DataLoader(Dishes(cfg.n_test, cfg, cfg.seed + 2), batch_size=100)
        self.model = Counter(cfg.max_colonies).to(self.device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=cfg.lr)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=cfg.lr, total_steps=cfg.epochs * len(self.train_loader))

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            total = 0.0
            for x, y in self.train_loader:
                x, y = x.to(self.device), y.to(self.device)
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                total += loss.item() * len(y)
            print(f"[{epoch}] mean loss {total / self.cfg.n_train:.4f}")

    @torch.no_grad()
    def test(self):
        self.model.eval()
        right = sum((self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item()
                    for x, y in self.test_loader)
        return right / self.cfg.n_test


if __name__ == "__main__":
    trainer = Trainer(Config())
    trainer.fit()
    print(f"accuracy: {trainer.test():.3f}")
