import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Deep(nn.Module):
    def __init__(self, depth=8, width=16, act=nn.ReLU):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), act(), nn.MaxPool2d(2))
        self.body = nn.Sequential(*[nn.Sequential(nn.Conv2d(width, width, 3, padding=1), act()) for _ in range(depth)])
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 4))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


def get_dataset(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (n,), generator=g)
    x = torch.randn(n, 1, 12, 12, generator=g)
    for i, (r, c) in enumerate([(0, 0), (0, 6), (6, 0), (6, 6)]):
        x[y == i, 0, r : r + 6, c : c + 6] += 0.8
    return TensorDataset(x, y)


if __name__ == "__main__":
    torch.manual_seed(0)
    train_loader = DataLoader(get_dataset(1500, 0), batch_size=50, shuffle=True)
    test_loader = DataLoader(get_dataset(500, 1), batch_size=100)
    model = Deep()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_fn = nn.CrossEntropyLoss()
    for t in range(5):
        print(f"Epoch {t + 1}\n-------------------------------")
        model.train()
        for batch, (X, y) in enumerate(train_loader):
            loss = loss_fn(model(X), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if batch % 15 == 0:
                print(f"loss: {loss.item():>7f}  [{batch * 50:>5d}/1500]")
    model.eval()
    correct = 0
    with torch.no_grad():
        for X, y in test_loader:
            correct += (model(X).argmax(1) == y).type(torch.float).sum().item()
    print(f"accuracy: {correct / 500:.4f}")
