import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class ScanDataset(Dataset):
    """Tiles of scanned sheets: 0 blank, 1 horizontal rules, 2 vertical rules, 3 grid."""

    def __init__(self, n=2000, size=16):
        self.size = size
        self.kinds = torch.randint(0, 4, (n,))
        self.spacing = torch.randint(3, 6, (n,))
        self.paper = 0.8 + 0.2 * torch.rand(n)
        self.noise_seed = torch.randint(0, 2**31, (n,))

    def render(self, i):
        tile = torch.full((self.size, self.size), self.paper[i].item())
        kind, s = int(self.kinds[i]), int(self.spacing[i])
        if kind == 0:
            return tile
        g = torch.Generator().manual_seed(int(self.noise_seed[i]))
        off = int(torch.randint(0, s, (1,), generator=g))
        if kind in (1, 3):
            tile[off::s, :] -= 0.3
        if kind in (2, 3):
            tile[:, off::s] -= 0.3
        return tile + 0.25 * torch.randn(tile.shape, generator=g)

    def __len__(self):
        return len(self.kinds)

    def __getitem__(self, i):
        tile = self.render(i)
        tile = (tile - tile.mean()) / tile.std().clamp_min(1e-3)
        return tile.unsqueeze(0), self.kinds[i]


class TileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(12, 24, 3), nn.ReLU())
        self.final = nn.Linear(24, 4)

    def forward(self, x):
        x = self.stage2(self.stage1(x))
        return self.final(x.amax(dim=(2, 3)))


def loop(model, loader, criterion, optimizer=None):
    total, right, count = 0.0, 0, 0
    model.train(optimizer is not None)
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = model(x)
            loss = criterion(out, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(y)
            right += (out.argmax(1) == y).sum().item()
            count += len(y)
    return total / count, right / count


if __name__ == "__main__":
    torch.manual_seed(64)
    train_set, val_set = random_split(ScanDataset(), [1600, 400])
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=100)
    model = TileNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(6):
        tl, ta = loop(model, train_loader, criterion, optimizer)
        vl, va = loop(model, val_loader, criterion)
        print(f"epoch {epoch + 1} train {tl:.4f}/{ta:.3f} val {vl:.4f}/{va:.3f}")
    print(f"accuracy: {va:.4f}")
