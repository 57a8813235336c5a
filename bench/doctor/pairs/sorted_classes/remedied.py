import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def folder(per_class, seed, classes=6, size=16):
    """As if read from one folder after the other."""
    g = torch.Generator().manual_seed(seed)
    xs, ys = [], []
    for c in range(classes):
        freq = 0.4 + 0.3 * c
        phase = torch.rand(per_class, 1, 1, generator=g) * 6.28
        wave = torch.sin(torch.arange(size)[None, None, :] * freq + phase).expand(-1, size, -1)
        xs.append(wave.unsqueeze(1) + 0.8 * torch.randn(per_class, 1, size, size, generator=g))
        ys.append(torch.full((per_class,), c))
    return TensorDataset(torch.cat(xs), torch.cat(ys))


class WaveNet2d(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(16 * 16, n_classes)

    def forward(self, x):
        x = self.pool(self.act(self.conv1(x)))
        x = self.pool(self.act(self.conv2(x)))
        return self.fc(x.flatten(start_dim=1))


def main():
    torch.manual_seed(0)
    train_loader = DataLoader(folder(350, 0), batch_size=50, shuffle=True)
    val_loader = DataLoader(folder(100, 1), batch_size=100, shuffle=False)
    model = WaveNet2d(6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(4):
        model.train()
        for xb, yb in train_loader:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = sum((model(xb).argmax(dim=1) == yb).sum().item() for xb, yb in val_loader)
        print(f"epoch {epoch}: {correct}/600")
    print(f"accuracy: {correct / 600:.4f}")


if __name__ == "__main__":
    main()
