import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class SpatialAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        scores = self.score(x).view(b, h * w)
        weights = F.softmax(scores, dim=1).view(b, 1, h, w)
        return (x * weights).sum(dim=(2, 3))


class AttnNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()
        )
        self.attn = SpatialAttention(32)
        self.fc = nn.Linear(32, num_classes)

    def forward(self, x):
        return self.fc(self.attn(self.features(x)))


class Marks(torch.utils.data.Dataset):
    marks = ["010111010", "101010101", "111000111", "101101101", "111101111"]

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 5, (n,), generator=g)
        self.x = torch.randn(n, 1, 14, 14, generator=g) * 0.25
        for i, k in enumerate(self.y.tolist()):
            r, c = torch.randint(0, 12, (2,), generator=g).tolist()
            self.x[i, 0, r : r + 3, c : c + 3] += (
                torch.tensor([float(b) for b in self.marks[k]]).view(3, 3)[: 14 - r, : 14 - c] * 2
            )

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def main():
    torch.manual_seed(0)
    train, test = DataLoader(Marks(2000, 0), 50, shuffle=True), DataLoader(Marks(500, 1), 1)
    model = AttnNet(5)
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(6):
        model.train()
        for x, y in train:
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        print("epoch", epoch, loss.item())
    model.eval()
    with torch.no_grad():
        n = sum((model(x).argmax(1) == y).sum().item() for x, y in test)
    print(f"accuracy: {n / 500:.4f}")


if __name__ == "__main__":
    main()
