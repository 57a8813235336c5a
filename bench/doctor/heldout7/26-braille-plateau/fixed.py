import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

# dots of the cell, numbered 1-2-3 down the left column and 4-5-6 down the right
LETTERS = {
    "a": "1", "b": "12", "c": "14", "d": "145", "e": "15", "f": "124", "g": "1245",
    "h": "125", "i": "24", "j": "245", "k": "13", "l": "123", "m": "134", "n": "1345",
}


class BrailleCells(Dataset):
    def __init__(self, count, seed, size=28):
        g = np.random.default_rng(seed)
        names = sorted(LETTERS)
        yy, xx = np.mgrid[0:size, 0:size]
        self.labels = g.integers(0, len(names), count)
        self.images = np.zeros((count, 1, size, size), np.float32)
        for n, lab in enumerate(self.labels):
            canvas = np.full((size, size), g.uniform(0.55, 0.8))
            canvas += (xx - size / 2) * g.uniform(-0.008, 0.008)
            gap = g.uniform(6.0, 7.5)
            angle = g.uniform(-0.12, 0.12)
            ox, oy = size / 2 + g.uniform(-2.5, 2.5, 2)
            for dot in range(1, 7):
                col, row = (dot - 1) // 3, (dot - 1) % 3
                dx, dy = (col - 0.5) * gap, (row - 1) * gap
                cx = ox + dx * np.cos(angle) - dy * np.sin(angle) + g.normal(0, 0.3)
                cy = oy + dx * np.sin(angle) + dy * np.cos(angle) + g.normal(0, 0.3)
                raised = str(dot) in LETTERS[names[lab]]
                height = g.uniform(0.25, 0.45) if raised else g.uniform(0.0, 0.08)
                bump = np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / (2 * 1.5 ** 2))
                shade = np.exp(-((xx - cx - 1.5) ** 2 + (yy - cy - 1.5) ** 2) / (2 * 1.5 ** 2))
                canvas += height * (bump - 1.2 * shade)
            self.images[n, 0] = canvas + g.normal(0, 0.05, (size, size))
        self.images = (self.images - 0.66) / 0.12

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]), int(self.labels[i])


def separable(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False),
        nn.BatchNorm2d(cin), nn.ReLU(inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
    )


class DotNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.body = nn.Sequential(separable(16, 32, 2), separable(32, 48, 2), separable(48, 64, 1))
        self.head = nn.Linear(64 * 7 * 7, classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).flatten(1))


class Trainer:
    def __init__(self, net, train, val, lr=0.01, epochs=8):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = net.to(self.device)
        self.train_loader = DataLoader(train, batch_size=64, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val, batch_size=256)
        self.epochs = epochs
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, mode="max", factor=0.2, patience=0)

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            self.net.train()
            running = 0.0
            for x, y in self.train_loader:
                x, y = x.to(self.device), y.to(self.device)
                self.optimizer.zero_grad()
                loss = self.criterion(self.net(x), y)
                loss.backward()
                self.optimizer.step()
                running += loss.item()
            val_acc = self.score(self.val_loader)
            self.scheduler.step(val_acc)
            print(f"[{epoch}/{self.epochs}] loss {running / len(self.train_loader):.3f} val {val_acc:.3f}")

    @torch.no_grad()
    def score(self, loader):
        self.net.eval()
        good = total = 0
        for x, y in loader:
            pred = self.net(x.to(self.device)).argmax(1).cpu()
            good += int((pred == y).sum())
            total += len(y)
        return good / total


if __name__ == "__main__":
    torch.manual_seed(5)
    trainer = Trainer(DotNet(len(LETTERS)), BrailleCells(1000, seed=1), BrailleCells(240, seed=2))
    trainer.fit()
    test_loader = DataLoader(BrailleCells(300, seed=3), batch_size=200)
    print(f"accuracy: {trainer.score(test_loader):.3f}")
