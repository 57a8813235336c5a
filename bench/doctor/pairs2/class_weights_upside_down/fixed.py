"""Defect inspection: most plates are fine, few have a scratch, a dent or a stain. Reports balanced accuracy."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = ("fine", "scratch", "dent", "stain")


def plate(kind, n, gen):
    x = torch.randn(n, 1, 28, 28, generator=gen) * 0.3
    r = torch.arange(28).float()
    for i in range(n):
        a, b = (torch.rand(2, generator=gen) * 18 + 5).tolist()
        yy, xx = r.view(-1, 1) - a, r.view(1, -1) - b
        strength = 0.3 + 0.5 * torch.rand(1, generator=gen).item()
        if kind == 1:
            x[i, 0] += strength * ((yy - xx).abs() < 1).float() * (yy.abs() < 6)
        elif kind == 2:
            x[i, 0] -= strength * torch.exp(-(yy ** 2 + xx ** 2) / 6)
        elif kind == 3:
            x[i, 0] += 0.6 * strength * torch.exp(-(yy ** 2 + xx ** 2) / 14)
    return x, torch.full((n,), kind)


def collect(counts, seed):
    gen = torch.Generator().manual_seed(seed)
    parts = [plate(k, c, gen) for k, c in enumerate(counts)]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


class Inspector(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 24, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(24, len(KINDS))

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = torch.relu(self.conv2(x))
        return self.fc(x.amax(dim=(2, 3)))


def balanced_accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        pred = model(x).argmax(1)
    per_class = [(pred[y == k] == k).float().mean().item() for k in range(len(KINDS))]
    print(dict(zip(KINDS, (round(v, 3) for v in per_class))))
    return sum(per_class) / len(per_class)


def main():
    torch.manual_seed(0)
    x, y = collect([1000, 120, 90, 90], seed=1)
    test_x, test_y = collect([200, 100, 100, 100], seed=2)
    counts = torch.bincount(y).float()
    weights = counts.sum() / (len(counts) * counts)
    criterion = nn.CrossEntropyLoss(weight=weights)
    model = Inspector()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
    for epoch in range(12):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", round(loss.item(), 3))
    print("accuracy: %.3f" % balanced_accuracy(model, test_x, test_y))


if __name__ == "__main__":
    main()
