"""Stripes: four directions, few noisy images, so that the last epochs overfit; the best epoch is kept."""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def stripes(count, seed):
    rng = np.random.default_rng(seed)
    kind = rng.integers(4, size=count)
    angle = kind * np.pi / 4 + rng.normal(0, 0.1, count)
    grid = np.arange(16)
    wave = grid[None, :, None] * np.sin(angle)[:, None, None] + grid[None, None, :] * np.cos(angle)[:, None, None]
    images = np.sin(0.9 * wave + rng.uniform(0, 6.28, (count, 1, 1))) + rng.normal(0, 1.4, (count, 16, 16))
    images /= images.std()
    return TensorDataset(torch.tensor(images[:, None], dtype=torch.float32), torch.tensor(kind))


class EarlyStopping:
    def __init__(self, model):
        self.model, self.best, self.weights = model, 0.0, copy.deepcopy(model.state_dict())

    def update(self, score):
        if score > self.best:
            self.best = score
            self.weights = copy.deepcopy(self.model.state_dict())

    def restore(self):
        self.model.load_state_dict(self.weights)
        return self.model


def accuracy(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(0)
train, val = DataLoader(stripes(400, 0), 40, shuffle=True), DataLoader(stripes(400, 1), 200)
final = DataLoader(stripes(1000, 2), 250)
model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(),
    nn.Flatten(), nn.Linear(32 * 36, 4),
)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
keeper = EarlyStopping(model)
for epoch in range(12):
    model.train()
    for x, y in train:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    keeper.update(accuracy(model, val))
    print(f"epoch {epoch}: loss {loss.item():.3f}, best validation accuracy {keeper.best:.3f}")
print(f"accuracy: {accuracy(keeper.restore(), final):.4f}")
