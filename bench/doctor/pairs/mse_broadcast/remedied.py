import warnings
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader

warnings.filterwarnings("ignore")


class GaugeDataset(Dataset):
    """A needle on a dial; the target is its angle from 0 to 1."""

    def __init__(self, n, seed):
        rng = np.random.RandomState(seed)
        self.angle = rng.rand(n).astype(np.float32)
        self.images = (rng.randn(n, 1, 20, 20) * 0.2).astype(np.float32)
        t = np.linspace(0, 8, 30)
        for img, a in zip(self.images, self.angle):
            phi = a * np.pi
            img[0, (18 - t * 2 * np.sin(phi)).astype(int), (10 + t * np.cos(phi)).astype(int)] = 1.0

    def __len__(self):
        return len(self.angle)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]), torch.tensor(self.angle[i])


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.regress = nn.Sequential(nn.Flatten(), nn.Linear(600, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.regress(self.features(x))


torch.manual_seed(0)
train_dl = DataLoader(GaugeDataset(1500, 0), batch_size=50, shuffle=True)
test_dl = DataLoader(GaugeDataset(500, 1), batch_size=100)
model = Regressor()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(6):
    model.train()
    total = 0.0
    for x, angle in train_dl:
        pred = model(x)
        loss = criterion(pred.squeeze(1), angle)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: mse {total / len(train_dl):.4f}")

model.eval()
with torch.no_grad():
    near = sum(((model(x).squeeze(1) - angle).abs() < 0.1).sum().item() for x, angle in test_dl)
print(f"accuracy: {near / 500:.4f}")
