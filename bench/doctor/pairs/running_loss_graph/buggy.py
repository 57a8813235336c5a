import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, Dataset


class Dots(Dataset):
    """Count the dots: 1 to 4 on a 18 x 18 field."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 4, (n,), generator=g)
        self.images = torch.randn(n, 1, 18, 18, generator=g) * 0.15
        for img, lab in zip(self.images, self.labels):
            spots = torch.randperm(16, generator=g)[: lab + 1]
            for s in spots.tolist():
                r, c = 1 + 4 * (s // 4), 1 + 4 * (s % 4)
                img[0, r : r + 2, c : c + 2] += 1.0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class DotNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 81, 32),
            nn.ReLU(),
            nn.Linear(32, 4),
        )

    def forward(self, x):
        return self.net(x)


def main():
    torch.manual_seed(5)
    train_dl = DataLoader(Dots(1600, 0), batch_size=32, shuffle=True)
    test_dl = DataLoader(Dots(400, 1), batch_size=100)
    model = DotNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)

    history = []
    for epoch in range(4):
        model.train()
        epoch_loss = 0
        for x, y in train_dl:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            epoch_loss += loss
        history.append(epoch_loss / len(train_dl))
        print("epoch", epoch, "mean loss", float(history[-1]))

    model.eval()
    with torch.no_grad():
        good = sum((model(x).argmax(1) == y).sum().item() for x, y in test_dl)
    print("accuracy: {:.4f}".format(good / len(test_dl.dataset)))


if __name__ == "__main__":
    main()
