import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        glyphs = torch.randn(4, 1, 10, 10, generator=torch.Generator().manual_seed(0)) * 0.9
        a = torch.randint(0, 4, (n,), generator=g)
        self.same = torch.randint(0, 2, (n,), generator=g)
        b = torch.where(self.same == 1, a, (a + torch.randint(1, 4, (n,), generator=g)) % 4)
        self.a = glyphs[a] + 0.5 * torch.randn(n, 1, 10, 10, generator=g)
        self.b = glyphs[b] + 0.5 * torch.randn(n, 1, 10, 10, generator=g)

    def __len__(self):
        return len(self.same)

    def __getitem__(self, i):
        return self.a[i], self.b[i], self.same[i].float()


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 16))
        self.judge = nn.Linear(16, 1)

    def forward(self, a, b):
        return self.judge((self.tower(a) - self.tower(b)).abs()).squeeze(1)


torch.manual_seed(0)
model = Siamese()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(5):
    model.train()
    for a, b, same in DataLoader(Pairs(1600, 1), batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(a, b), same)
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
model.eval()
with torch.no_grad():
    ok = sum(
        ((model(a, b) > 0) == (same > 0.5)).sum().item() for a, b, same in DataLoader(Pairs(400, 2), batch_size=100)
    )
print("accuracy: %.4f" % (ok / 400))
