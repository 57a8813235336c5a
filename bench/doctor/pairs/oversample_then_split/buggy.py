import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import ConcatDataset, DataLoader, Dataset, random_split


class Cells(Dataset):
    """Round cells (0) or, rarer, cells that divide (1); 3 stains make 6 classes."""

    def __init__(self, n, g):
        self.y = torch.randint(0, 6, (n,), generator=g)
        self.x = torch.randn(n, 3, 16, 16, generator=g) * 0.9
        yy, xx = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        for i, label in enumerate(self.y.tolist()):
            cy, cx = (torch.rand(2, generator=g) * 6 + 5).tolist()
            blob = ((yy - cy) ** 2 + (xx - cx) ** 2 < 12).float()
            if label >= 3:
                blob = blob * ((xx - cx).abs() > 1.2).float()
            self.x[i, label % 3] += blob

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def net():
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 6),
    )


g = torch.Generator().manual_seed(8)
torch.manual_seed(8)
cells = Cells(900, g)
cells = ConcatDataset([cells, cells, cells])
train_set, val_set = random_split(cells, [2100, 600], generator=g)

model = net()
opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
for epoch in range(6):
    model.train()
    for x, y in DataLoader(train_set, batch_size=50, shuffle=True):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))
model.eval()
with torch.no_grad():
    found = [(model(x).argmax(1) == y).float().mean() for x, y in DataLoader(val_set, batch_size=100)]
print(f"accuracy: {torch.stack(found).mean().item():.4f}")
