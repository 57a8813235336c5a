import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class TwoStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.extract = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 12, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classify = nn.Sequential(nn.Flatten(), nn.Linear(12 * 16, 40), nn.ReLU(), nn.Linear(40, 8))

    def forward(self, x):
        return self.classify(self.extract(x))


def blobs(n):
    y = torch.randint(0, 8, (n,))
    x = torch.randn(n, 1, 16, 16) * 0.4
    sizes = torch.stack([y % 4 + 1, y // 4 * 4 + 2], 1).tolist()
    for img, (h, w) in zip(x, sizes):
        r, c = int(torch.randint(0, 16 - h, (1,))), int(torch.randint(0, 16 - w, (1,)))
        img[0, r : r + h, c : c + w] += 1.3
    return TensorDataset(x, y)


train_loader = DataLoader(blobs(2500), batch_size=50, shuffle=True)
val_loader = DataLoader(blobs(500), batch_size=100)
model = TwoStage()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(6):
    model.train()
    running = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch}: {running / len(train_loader):.3f}")
model.eval()
with torch.no_grad():
    acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in val_loader) / 500
print(f"accuracy: {acc:.4f}")
