import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


def synth(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 8, (n,), generator=g)
    img = torch.randn(n, 1, 16, 16, generator=g) * 0.7
    for b in range(3):
        on = (y >> b) & 1
        img[:, 0, 5 * b : 5 * b + 5] += on[:, None, None] * 0.4
    return TensorDataset(img, y)


class BitsNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5)
        self.conv2 = nn.Conv2d(12, 12, 5)
        self.fc = nn.Linear(12 * 4, 8)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 1)
        return self.fc(F.adaptive_avg_pool2d(x, 2).flatten(1))


def fit(model, train_loader, val_loader, epochs):
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in val_loader:
                preds = model(x).argmax(dim=1)
                correct += (preds == y).sum().item()
        acc = correct / len(val_loader.dataset)
        print("epoch", epoch, "val acc", acc)
    return acc


torch.manual_seed(1)
train_loader = DataLoader(synth(2000, 0), batch_size=64, shuffle=True)
val_loader = DataLoader(synth(650, 1), batch_size=100)
print("accuracy: %.4f" % fit(BitsNet(), train_loader, val_loader, 5))
