import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def faint(n, g):
    """Three spacings of a faint grating in heavy noise. Hard, and little data."""
    y = torch.randint(0, 3, (n,), generator=g)
    phase = torch.rand(n, 1, 1, generator=g) * 6.28
    grid = torch.arange(20).float()
    across = torch.sin(grid.view(1, 1, -1) * (0.8 + 0.35 * y.view(-1, 1, 1)) + phase)
    x = 0.3 * across + torch.randn(n, 20, 20, generator=g)
    return TensorDataset(x.unsqueeze(1), y)


class Experiment:
    def __init__(self, seed=1):
        g = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        self.train_loader = DataLoader(faint(400, g), batch_size=25, shuffle=True)
        self.val_loader = DataLoader(faint(100, g), batch_size=100)
        self.test_loader = DataLoader(faint(100, g), batch_size=100)
        self.model = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(16 * 25, 3))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3, weight_decay=1e-4)
        self.criterion = nn.CrossEntropyLoss()

    def one_epoch(self):
        self.model.train()
        for x, y in self.train_loader:
            self.optimizer.zero_grad()
            self.criterion(self.model(x), y).backward()
            self.optimizer.step()

    @torch.no_grad()
    def score(self, loader):
        self.model.eval()
        return sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)

    def run(self, epochs=30):
        best, best_state = 0.0, None
        for epoch in range(epochs):
            self.one_epoch()
            acc = self.score(self.val_loader)
            if acc > best:
                best, best_state = acc, copy.deepcopy(self.model.state_dict())
                print(f"epoch {epoch}: new best {acc:.3f}")
        self.model.load_state_dict(best_state)
        return self.score(self.test_loader)


print(f"accuracy: {Experiment().run():.3f}")
