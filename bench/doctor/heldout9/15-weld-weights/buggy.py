"""Weld seam inspection: sound, pore, crack or undercut.

Sound seams are more common than flawed ones, hence the class weights.
A light module/fit split keeps the loop out of the model code.
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES = ["sound", "pore", "crack", "undercut"]
SHARE = [0.34, 0.22, 0.22, 0.22]
H, W = 24, 40


class WeldData:
    def __init__(self, n=1400, n_test=300, batch_size=50, seed=17):
        self.batch_size = batch_size
        rng = np.random.default_rng(seed)
        labels = rng.choice(len(CLASSES), size=n, p=SHARE)
        seams = np.stack([self.seam(k, rng) for k in labels]).astype(np.float32)
        self.train_labels = labels[n_test:]
        mean, std = seams[n_test:].mean(), seams[n_test:].std()
        x = torch.from_numpy((seams - mean) / std).unsqueeze(1)
        y = torch.from_numpy(labels)
        self.train_set = TensorDataset(x[n_test:], y[n_test:])
        self.test_set = TensorDataset(x[:n_test], y[:n_test])

    @staticmethod
    def seam(k, rng):
        yy, xx = np.mgrid[:H, :W]
        mid = H / 2 + rng.uniform(-2, 2) + 0.8 * np.sin(xx / 6 + rng.uniform(0, 6))
        half = rng.uniform(4.5, 6)
        bead = np.exp(-((yy - mid) / half) ** 4)
        ripple = 0.08 * np.sin(xx * rng.uniform(1.2, 1.8) + ((yy - mid) / 3) ** 2)
        im = 0.35 + bead * (0.3 + ripple)
        cx = rng.uniform(7, W - 7)
        depth = rng.uniform(0.22, 0.4)
        if k == 1:
            cy = mid[0, int(cx)] + rng.uniform(-2, 2)
            im -= depth * (np.hypot(xx - cx, yy - cy) < rng.uniform(1.6, 2.6))
        elif k == 2:
            slope = rng.uniform(-0.25, 0.25)
            line = abs(yy - mid - slope * (xx - cx)) < 0.8
            im -= depth * (line & (abs(xx - cx) < rng.uniform(4, 7)))
        elif k == 3:
            edge = mid + rng.choice([-1, 1]) * (half + 0.5)
            im -= depth * ((abs(yy - edge) < 1.3) & (abs(xx - cx) < rng.uniform(4, 7)))
        return im + rng.normal(0, 0.05, im.shape)

    def class_weights(self):
        counts = np.bincount(self.train_labels, minlength=len(CLASSES))
        return torch.from_numpy(counts.sum() / (len(CLASSES) * counts))

    def train_dataloader(self):
        return DataLoader(self.train_set, self.batch_size, shuffle=True)

    def test_dataloader(self):
        return DataLoader(self.test_set, 100)


class WeldModule(nn.Module):
    def __init__(self, class_weights, lr=0.004):
        super().__init__()
        self.lr = lr
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(),
            nn.AdaptiveMaxPool2d((2, 2)),
        )
        self.classifier = nn.Linear(32 * 4, len(CLASSES))
        self.loss = nn.CrossEntropyLoss(weight=class_weights)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))

    def training_step(self, batch):
        x, y = batch
        return self.loss(self(x), y)

    def test_step(self, batch):
        x, y = batch
        return (self(x).argmax(1) == y).sum().item(), len(y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def fit(module, data, max_epochs, device):
    module.to(device)
    optimizer = module.configure_optimizers()
    module.train()
    for epoch in range(max_epochs):
        seen = 0.0
        for batch in data.train_dataloader():
            loss = module.training_step([t.to(device) for t in batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += loss.item() * len(batch[1])
        print(f"epoch {epoch}: {seen / len(data.train_set):.3f}")


def evaluate(module, data, device):
    module.eval()
    with torch.no_grad():
        parts = [module.test_step([t.to(device) for t in batch]) for batch in data.test_dataloader()]
    return sum(p[0] for p in parts) / sum(p[1] for p in parts)


if __name__ == "__main__":
    torch.manual_seed(17)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = WeldData()
    module = WeldModule(data.class_weights())
    fit(module, data, max_epochs=6, device=device)
    print(f"accuracy: {evaluate(module, data, device):.3f}")
