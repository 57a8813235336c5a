import math
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Config:
    classes: int = 5
    size: int = 24
    n_train: int = 2000
    n_test: int = 500
    batch_size: int = 40
    epochs: int = 5
    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 25
    seed: int = 7


def make_gratings(n, cfg):
    """Sine gratings in noise; the class is the orientation."""
    y = torch.randint(cfg.classes, (n,))
    angle = math.pi * y / cfg.classes + 0.08 * torch.randn(n)
    freq = 2 * math.pi / (5.0 + 2.0 * torch.rand(n))
    phase = 2 * math.pi * torch.rand(n)
    r = torch.arange(cfg.size, dtype=torch.float32)
    gy, gx = torch.meshgrid(r, r, indexing="ij")
    along = gx[None] * torch.cos(angle)[:, None, None] + gy[None] * torch.sin(angle)[:, None, None]
    wave = torch.sin(along * freq[:, None, None] + phase[:, None, None])
    x = 0.5 + 0.25 * wave + 0.2 * torch.randn(n, cfg.size, cfg.size)
    return x.unsqueeze(1), y


def conv_bn(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class GratingNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(1, 16), nn.MaxPool2d(2),
            conv_bn(16, 32), nn.MaxPool2d(2),
            conv_bn(32, 32), nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        return self.fc(self.body(x).flatten(1))


class Trainer:
    def __init__(self, model, cfg, train_set):
        self.model, self.cfg = model, cfg
        self.loader = DataLoader(train_set, batch_size=cfg.batch_size, shuffle=True, drop_last=True)
        self.total_steps = cfg.epochs * len(self.loader)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
        self.scheduler = LambdaLR(self.optimizer, self.lr_at)
        self.criterion = nn.CrossEntropyLoss()

    def lr_at(self, step):
        warm = min(1.0, (step + 1) / self.cfg.warmup_steps)
        progress = max(0, step - self.cfg.warmup_steps) / (self.total_steps - self.cfg.warmup_steps)
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
        return warm * cosine

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            running = 0.0
            for x, y in self.loader:
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.criterion(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                running += loss.item()
            print(f"[{epoch + 1}/{self.cfg.epochs}] train loss {running / len(self.loader):.4f}")

    @torch.no_grad()
    def score(self, dataset):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in DataLoader(dataset, batch_size=250))
        return hits / len(dataset)


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    images, labels = make_gratings(cfg.n_train + cfg.n_test, cfg)
    images = (images - 0.5) / 0.3
    train_set, test_set = random_split(TensorDataset(images, labels), [cfg.n_train, cfg.n_test])
    trainer = Trainer(GratingNet(cfg.classes), cfg, train_set)
    trainer.fit()
    print(f"accuracy: {trainer.score(test_set):.3f}")
