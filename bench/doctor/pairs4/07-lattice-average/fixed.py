"""Crystal-lattice images, trained with a moving average of the weights that is used for validation."""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def lattice(kind, rng, size=24):
    y, x = np.mgrid[:size, :size].astype(float)
    px, py = rng.uniform(0, 6.28, 2)
    k = rng.uniform(0.9, 1.1)
    if kind == "square":
        img = np.cos(k * x + px) + np.cos(k * y + py)
    elif kind == "hexagonal":
        img = np.cos(k * x + px) + np.cos(k * (0.5 * x + 0.866 * y) + py) + np.cos(k * (0.5 * x - 0.866 * y))
    elif kind == "rows":
        img = 1.4 * np.cos(k * y + py)
    else:
        img = 1.4 * np.cos(1.6 * k * (x + y) + px)
    return img + rng.normal(0, 0.8, img.shape)


KINDS = ("square", "hexagonal", "rows", "oblique")


def make_split(per_kind, rng):
    x = np.stack([lattice(kind, rng) for kind in KINDS for _ in range(per_kind)])
    y = np.arange(len(KINDS)).repeat(per_kind)
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y)


class Net(nn.Module):
    def __init__(self, classes=len(KINDS), width=16):
        super().__init__()
        self.stage1 = self._stage(1, width)
        self.stage2 = self._stage(width, 2 * width)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(2 * width * 9, classes)

    @staticmethod
    def _stage(cin, cout):
        return nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)
        )

    def forward(self, x):
        x = self.stage2(self.stage1(x))
        x = nn.functional.max_pool2d(x, 2).flatten(1)
        return self.fc(self.drop(x))


class Ema:
    def __init__(self, net, decay=0.9):
        self.decay = decay
        self.shadow = copy.deepcopy(net)
        for p in self.shadow.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, net):
        for s, p in zip(self.shadow.parameters(), net.parameters()):
            s.lerp_(p, 1 - self.decay)
        for s, b in zip(self.shadow.buffers(), net.buffers()):
            s.copy_(b)


class Trainer:
    def __init__(self, net, train_loader, test_loader, lr=1e-3):
        self.net = net
        self.ema = Ema(net)
        self.train_loader, self.test_loader = train_loader, test_loader
        self.criterion = nn.CrossEntropyLoss()
        self.opt = torch.optim.Adam(net.parameters(), lr=lr)

    def fit(self, epochs):
        for epoch in range(epochs):
            self.net.train()
            losses = []
            for x, y in self.train_loader:
                self.opt.zero_grad(set_to_none=True)
                loss = self.criterion(self.net(x), y)
                loss.backward()
                self.opt.step()
                self.ema.update(self.net)
                losses.append(loss.item())
            print(f"[{epoch}] loss={np.mean(losses):.3f}")

    @torch.no_grad()
    def validate(self):
        self.ema.shadow.eval()
        right = total = 0
        for x, y in self.test_loader:
            right += (self.ema.shadow(x).argmax(1) == y).sum().item()
            total += len(y)
        return right / total


if __name__ == "__main__":
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    x, y = make_split(160, rng)
    xt, yt = make_split(60, rng)
    mean, std = x.mean(), x.std()
    train_loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=32, shuffle=True)
    test_loader = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=60)
    trainer = Trainer(Net(), train_loader, test_loader)
    trainer.fit(epochs=4)
    print(f"accuracy: {trainer.validate():.3f}")
