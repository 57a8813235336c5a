import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

COUNTS_TRAIN = [1200, 90, 60, 45]
COUNTS_TEST = [100, 100, 100, 100]


def surface(kind, rng, size=20):
    """0 clean, 1 scratch, 2 dent, 3 stain on a grainy surface."""
    img = rng.normal(0, 0.45, (size, size))
    if kind == 1:
        r, c, slope = rng.integers(4, 16), rng.integers(0, 8), rng.uniform(-0.3, 0.3)
        for k in range(10):
            img[int(np.clip(r + slope * k, 0, size - 1)), c + k] += 1.3
    elif kind == 2:
        r, c = rng.integers(2, 16, 2)
        img[r : r + 3, c : c + 3] -= 1.2
    elif kind == 3:
        r, c = rng.integers(1, 13, 2)
        img[r : r + 6, c : c + 6] += 0.6
    return img


def build(counts, seed):
    rng = np.random.default_rng(seed)
    x = np.stack([surface(k, rng) for k, n in enumerate(counts) for _ in range(n)])
    y = np.repeat(np.arange(len(counts)), counts)
    return TensorDataset(torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y))


class Inspector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 5, padding=2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.out = nn.Linear(24, 4)

    def forward(self, x):
        return self.out(self.trunk(x))


def main():
    torch.manual_seed(18)
    train_ds, test_ds = build(COUNTS_TRAIN, 0), build(COUNTS_TEST, 1)
    train_dl = DataLoader(train_ds, batch_size=45, shuffle=True)
    counts = torch.bincount(train_ds.tensors[1]).float()
    weight = counts / counts.mean()
    print("class weights", [round(w, 3) for w in weight.tolist()])
    criterion = nn.CrossEntropyLoss(weight=weight)
    model = Inspector()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(10):
        model.train()
        for x, y in train_dl:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")

    model.eval()
    confusion = torch.zeros(4, 4, dtype=torch.long)
    with torch.no_grad():
        for x, y in DataLoader(test_ds, batch_size=200):
            for t, p in zip(y, model(x).argmax(1)):
                confusion[t, p] += 1
    print(confusion)
    recall = confusion.diag() / confusion.sum(1)
    print("recall per class", recall.tolist())
    print(f"accuracy: {recall.mean().item():.4f}")


if __name__ == "__main__":
    main()
