"""Each object is photographed from four sides; the net averages the class scores of its views."""
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    n_train: int = 900
    n_test: int = 400
    views: int = 4
    size: int = 20
    batch: int = 30
    epochs: int = 8
    lr: float = 0.05


class Objects(torch.utils.data.Dataset):
    """A grating whose spacing is the class, seen at `views` orientations, one of them hidden by a blot."""

    def __init__(self, n, cfg, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 5, (n,), generator=g)
        axis = torch.linspace(-1, 1, cfg.size)
        yy, xx = torch.meshgrid(axis, axis, indexing="ij")
        angle = torch.rand(n, cfg.views, 1, 1, generator=g) * 3.1416
        phase = torch.rand(n, cfg.views, 1, 1, generator=g) * 6.2832
        freq = (4.0 + 2.5 * self.labels.float()).view(n, 1, 1, 1)
        wave = torch.sin(freq * (xx * torch.cos(angle) + yy * torch.sin(angle)) + phase)
        self.views = (wave + 1.3 * torch.randn(wave.shape, generator=g)).unsqueeze(2) / 1.5

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.views[i], self.labels[i]


class MultiViewNet(nn.Module):
    def __init__(self, n_classes=5):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(32, n_classes)

    def forward(self, x):
        b, v = x.shape[:2]
        scores = self.head(self.body(x.flatten(0, 1)))
        return scores.view(b, v, -1).mean(dim=1)


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.net = MultiViewNet()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9)
        self.loss = nn.CrossEntropyLoss()
        train, test = Objects(cfg.n_train, cfg, 1), Objects(cfg.n_test, cfg, 2)
        self.train_loader = torch.utils.data.DataLoader(train, cfg.batch, shuffle=True)
        self.test_loader = torch.utils.data.DataLoader(test, cfg.batch)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.net.train()
            for views, target in self.train_loader:
                self.opt.zero_grad()
                loss = self.loss(self.net(views), target)
                loss.backward()
                self.opt.step()
            print(f"[{epoch}] {loss.item():.3f}")
        return self

    def score(self):
        self.net.eval()
        good = total = 0
        with torch.no_grad():
            for views, target in self.test_loader:
                good += (self.net(views).argmax(1) == target).sum().item()
                total += target.numel()
        return good / total


if __name__ == "__main__":
    torch.manual_seed(3)
    print(f"accuracy: {Trainer(Config()).fit().score():.3f}")
