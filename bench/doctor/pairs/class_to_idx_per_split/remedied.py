import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]


def picture(name, rng):
    k = NAMES.index(name)
    img = rng.normal(0, 0.4, (3, 12, 12))
    img[k % 3, (k // 3) * 6 : (k // 3) * 6 + 6] += 0.5
    return img.astype(np.float32)


def collect(counts, seed):
    rng = np.random.default_rng(seed)
    return [(picture(name, rng), name) for name, n in counts.items() for _ in range(n)]


class NamedImages(Dataset):
    def __init__(self, samples, classes):
        self.samples = samples
        self.class_to_idx = {c: i for i, c in enumerate(sorted(classes))}

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        img, name = self.samples[i]
        return torch.from_numpy(img), self.class_to_idx[name]


class AnimalNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2))
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(12 * 36, num_classes))

    def forward(self, x):
        return self.fc(self.conv(x))


def evaluate(model, loader):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return correct / total


if __name__ == "__main__":
    torch.manual_seed(0)
    train_samples = collect({n: 200 for n in NAMES}, 0)
    val_samples = collect({n: 60 for n in NAMES if n != "bee"}, 1)
    train_set = NamedImages(train_samples, {name for _, name in train_samples})
    val_set = NamedImages(val_samples, {name for _, name in train_samples})
    train_loader = DataLoader(train_set, 30, shuffle=True)
    val_loader = DataLoader(val_set, 100)
    model = AnimalNet(len(NAMES))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(4):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
        print(epoch, f"{loss.item():.3f}", evaluate(model, val_loader))
    print(f"accuracy: {evaluate(model, val_loader):.4f}")
