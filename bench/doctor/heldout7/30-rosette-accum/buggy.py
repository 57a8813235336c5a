import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

PETALS = [3, 4, 5, 6, 8]
SIDE = 32


def rosette(petals, g):
    yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    cx, cy = SIDE / 2 + g.uniform(-2, 2, 2)
    dx, dy = xx - cx, yy - cy
    radius, theta = np.hypot(dx, dy), np.arctan2(dy, dx)
    reach = g.uniform(11, 14)
    depth = g.uniform(0.55, 0.75)
    edge = reach * (1 - depth * (0.5 + 0.5 * np.cos(petals * (theta - g.uniform(-0.25, 0.25)))))
    inside = 1 / (1 + np.exp(-(edge - radius) * 1.5))
    inside *= 1 - 1 / (1 + np.exp((radius - g.uniform(1.5, 3)) * 2))
    ink = g.uniform(0.2, 1, (3, 1, 1))
    paper = g.uniform(0, 0.3, (3, 1, 1))
    if g.random() < 0.5:
        ink, paper = 1 - ink * 0.9, 1 - paper
    img = paper + (ink - paper) * inside
    return img + g.normal(0, 0.04, img.shape)


def dataset(n, seed):
    g = np.random.default_rng(seed)
    y = g.permutation(np.arange(n) % len(PETALS))
    x = np.stack([rosette(PETALS[k], g) for k in y]).astype(np.float32)
    return TensorDataset(torch.from_numpy((x - 0.5) / 0.3), torch.from_numpy(y))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width),
        )

    def forward(self, x):
        return torch.relu(x + self.inner(x))


class RosetteNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False), nn.GroupNorm(4, 16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.GroupNorm(4, 32), nn.ReLU(), Residual(32),
            nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.GroupNorm(4, 64), nn.ReLU(),
        )
        self.out = nn.Linear(64 * 4 * 4, len(PETALS))

    def forward(self, x):
        return self.out(self.stages(x).flatten(1))


class Trainer:
    """Trains with gradients gathered over a few small batches."""

    def __init__(self, model, lr=0.01, epochs=7, gather=2, milestones=(5, 6)):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.loss_fn = nn.CrossEntropyLoss()
        self.epochs, self.gather = epochs, gather
        self.optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
        self.scheduler = optim.lr_scheduler.MultiStepLR(self.optimizer, milestones=list(milestones), gamma=0.1)

    def run_epoch(self, loader):
        self.model.train()
        total = 0.0
        self.optimizer.zero_grad()
        for i, (x, y) in enumerate(loader, 1):
            loss = self.loss_fn(self.model(x.to(self.device)), y.to(self.device))
            (loss / self.gather).backward()
            total += loss.item()
            if i % self.gather == 0:
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
        return total / len(loader)

    def fit(self, loader):
        for epoch in range(self.epochs):
            loss = self.run_epoch(loader)
            print(f"epoch {epoch + 1:2d}  loss {loss:.3f}")

    def accuracy(self, loader):
        self.model.eval()
        hits = 0
        with torch.inference_mode():
            for x, y in loader:
                hits += (self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item()
        return hits / len(loader.dataset)


def main():
    torch.manual_seed(4)
    train_loader = DataLoader(dataset(1200, 10), batch_size=16, shuffle=True, drop_last=True)
    test_loader = DataLoader(dataset(360, 20), batch_size=120)
    trainer = Trainer(RosetteNet())
    trainer.fit(train_loader)
    print(f"accuracy: {trainer.accuracy(test_loader):.3f}")


if __name__ == "__main__":
    main()
