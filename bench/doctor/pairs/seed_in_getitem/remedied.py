import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class AugmentedDigits(Dataset):
    """5x3 digits somewhere on 14x14; training images get a new place each time."""

    rows = {
        0: "111101101101111",
        1: "010110010010111",
        2: "111001111100111",
        3: "111001111001111",
        4: "101101111001001",
        5: "111100111001111",
        6: "111100111101111",
        7: "111001001001001",
        8: "111101111101111",
        9: "111101111001111",
    }

    def __init__(self, n, seed, shift):
        rng = np.random.RandomState(seed)
        self.labels = rng.randint(0, 10, n)
        self.noise = rng.randn(n, 14, 14).astype(np.float32) * 0.25
        self.places = rng.randint(0, 10, (n, 2))
        self.shift = shift

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = int(self.labels[index])
        image = self.noise[index].copy()
        r, c = self.places[index]
        if self.shift:
            r, c = np.random.randint(0, 10, 2)
        image[r : r + 5, c : c + 3] += np.array([int(b) for b in self.rows[label]]).reshape(5, 3)
        return torch.from_numpy(image)[None], label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 9, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.fc(x.flatten(1))


if __name__ == "__main__":
    np.random.seed(1)
    torch.manual_seed(1)
    train_loader = DataLoader(AugmentedDigits(2000, 0, True), batch_size=40, shuffle=True)
    test_loader = DataLoader(AugmentedDigits(800, 1, False), batch_size=200)
    model = Net()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(6):
        for x, y in train_loader:
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
        print("epoch", epoch, loss.item())
    model.eval()
    with torch.no_grad():
        acc = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader) / 800
    print(f"accuracy: {acc:.4f}")
