import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class RandomErase:
    def __init__(self, size):
        self.size = size

    def __call__(self, x):
        r, c = np.random.randint(0, x.shape[-1] - self.size, 2)
        x = x.clone()
        x[..., r : r + self.size, c : c + self.size] = 0
        return x


class RandomShift:
    def __call__(self, x):
        dy, dx = np.random.randint(-3, 4, 2)
        return torch.roll(x, (int(dy), int(dx)), dims=(-2, -1))


def chain(*ts):
    def apply(x):
        for t in ts:
            x = t(x)
        return x

    return apply


class Glyphs(Dataset):
    def __init__(self, n, seed, transform=None):
        glyphs = np.random.RandomState(77).rand(8, 6, 6) > 0.5
        rng = np.random.RandomState(seed)
        self.y = rng.randint(0, 8, n)
        self.x = rng.normal(0, 0.3, (n, 1, 16, 16)).astype(np.float32)
        for i in range(n):
            self.x[i, 0, 5:11, 5:11] += glyphs[self.y[i]]
        self.transform = transform

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = torch.from_numpy(self.x[i])
        return (self.transform(x) if self.transform else x), int(self.y[i])


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.l1 = nn.Linear(512, 8)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.l1(x.flatten(1))


def main():
    np.random.seed(0)
    torch.manual_seed(0)
    augment = chain(RandomShift(), RandomErase(6))
    train_set = Glyphs(2000, 0, transform=augment)
    val_set = Glyphs(600, 1)
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=100)
    net = CNN()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(5):
        net.train()
        for x, y in train_loader:
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(epoch, round(loss.item(), 3))
    net.eval()
    n = 0
    with torch.no_grad():
        for x, y in val_loader:
            n += int((net(x).argmax(1) == y).sum())
    print(f"accuracy: {n / len(val_set):.4f}")


if __name__ == "__main__":
    main()
