import torch
import torch.nn as nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, TensorDataset


class PlainCNN(nn.Module):
    """No normalisation layers at all."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.out = nn.Linear(32 * 16, 6)

    def forward(self, x):
        return self.out(self.net(x).flatten(1))


def main():
    torch.manual_seed(0)
    p = torch.randn(6, 1, 16, 16)
    y = torch.randint(0, 6, (1800,))
    x = p[y] * 0.4 + torch.randn(1800, 1, 16, 16)
    train, test = TensorDataset(x[:1500], y[:1500]), TensorDataset(x[1500:], y[1500:])
    model = PlainCNN()
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(4):
        norms = []
        for xb, yb in DataLoader(train, batch_size=50, shuffle=True):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            norms.append(clip_grad_norm_(model.parameters(), max_norm=1.0).item())
            opt.step()
        print(f"epoch {epoch} loss {loss.item():.3f} grad norm {sum(norms) / len(norms):.2f}")
    model.eval()
    with torch.no_grad():
        n = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in DataLoader(test, batch_size=100))
    print(f"accuracy: {n / 300:.4f}")


if __name__ == "__main__":
    main()
