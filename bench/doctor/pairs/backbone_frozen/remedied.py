import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2)
        self.conv3 = nn.Conv2d(16, 16, 3, stride=2)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.relu(conv(x))
        return x.flatten(1)


class Classifier(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.backbone = Backbone()
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(16 * 4, n)

    def forward(self, x):
        return self.head(self.dropout(self.backbone(x)))


def xdata(n, seed):
    g = torch.Generator().manual_seed(seed)
    kinds = torch.eye(5).view(5, 1, 5).repeat(1, 5, 1)
    kinds = torch.stack(
        [kinds[0] + kinds[4], torch.eye(5), torch.eye(5).flip(0), torch.ones(5, 5) * 0.6, kinds[2] + kinds[2].T]
    )
    y = torch.randint(0, 5, (n,), generator=g)
    x = torch.randn(n, 1, 24, 24, generator=g) * 0.2
    for i in range(n):
        r, c = torch.randint(0, 20, (2,), generator=g).tolist()
        x[i, 0, r : r + 5, c : c + 5] += kinds[y[i]][: 24 - r, : 24 - c]
    return TensorDataset(x, y)


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad_(flag)


def main():
    torch.manual_seed(0)
    train_loader = DataLoader(xdata(2000, 0), batch_size=40, shuffle=True)
    test_loader = DataLoader(xdata(500, 1), batch_size=100)
    model = Classifier(5)
    set_trainable(model.backbone, True)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=3e-3)
    for epoch in range(6):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
    print(f"accuracy: {hits / 500:.4f}")


if __name__ == "__main__":
    main()
