"""Count the seeds in a tray (one to five). Full trays are rarer, so the loss is weighted."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TRAIN_COUNTS = [400, 320, 260, 200, 160]
TEST_COUNTS = [60, 60, 60, 60, 60]


def tray(rng, seeds, size=28):
    yy, xx = np.mgrid[0:size, 0:size]
    img = np.full((size, size), rng.uniform(0.1, 0.3))
    img = img + rng.uniform(-0.003, 0.003) * xx + rng.uniform(-0.003, 0.003) * yy
    placed = []
    while len(placed) < seeds:
        p = rng.uniform(4, size - 4, 2)
        if all(np.hypot(*(p - q)) > 6.5 for q in placed):
            placed.append(p)
    for cx, cy in placed:
        a, b, t = rng.uniform(1.8, 2.5), rng.uniform(1.8, 2.5), rng.uniform(0, np.pi)
        u = (xx - cx) * np.cos(t) + (yy - cy) * np.sin(t)
        v = -(xx - cx) * np.sin(t) + (yy - cy) * np.cos(t)
        img = np.maximum(img, rng.uniform(0.75, 0.95) / (1 + np.exp(4 * (np.sqrt((u / a) ** 2 + (v / b) ** 2) - 1))))
    return (img + rng.normal(0, 0.03, img.shape)).astype(np.float32)


def trays(counts, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.stack([tray(rng, k + 1) for k in labels])[:, None]
    return images, labels


class SeedCounter(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.features = nn.Sequential(
            self.stage(1, 16), nn.AvgPool2d(2),
            self.stage(16, 32), nn.AvgPool2d(2),
            self.stage(32, 32),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ELU(), nn.Linear(64, classes))

    @staticmethod
    def stage(cin, cout):
        return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.GroupNorm(4, cout), nn.ELU())

    def forward(self, x):
        return self.head(self.features(x))


class Trainer:
    def __init__(self, model, train_data, test_data, epochs=8, batch_size=50, lr=1e-3):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.epochs = epochs
        images, labels = train_data
        self.mean, self.std = float(images.mean()), float(images.std())
        self.train_loader = DataLoader(self.wrap(images, labels), batch_size=batch_size, shuffle=True)
        self.test_loader = DataLoader(self.wrap(*test_data), batch_size=batch_size)
        self.criterion = nn.CrossEntropyLoss(weight=self.class_weights(labels))
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.1, total_iters=epochs - 1)

    def wrap(self, images, labels):
        return TensorDataset(torch.from_numpy((images - self.mean) / self.std), torch.from_numpy(labels))

    def class_weights(self, labels):
        counts = np.bincount(labels)
        weights = counts.sum() / (len(counts) * counts)
        return torch.from_numpy(weights).float().to(self.device)

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(self.train_loader)

    def fit(self):
        for epoch in range(self.epochs):
            loss = self.train_epoch()
            self.scheduler.step()
            print(f"epoch {epoch + 1}: {loss:.4f}")
        return self

    @torch.no_grad()
    def test(self):
        self.model.eval()
        hits = 0
        for x, y in self.test_loader:
            hits += (self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item()
        return hits / len(self.test_loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(17)
    trainer = Trainer(SeedCounter(), trays(TRAIN_COUNTS, 1), trays(TEST_COUNTS, 2))
    print(f"accuracy: {trainer.fit().test():.3f}")
