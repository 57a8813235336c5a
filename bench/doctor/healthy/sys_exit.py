import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main(argv):
    epochs = int(argv[1]) if len(argv) > 1 else 4
    torch.manual_seed(0)
    y = torch.randint(0, 3, (1200,))
    x = torch.randn(1200, 1, 12, 12) + (y - 1).view(-1, 1, 1, 1) * torch.linspace(0, 0.6, 12)
    loader = DataLoader(TensorDataset(x[:900], y[:900]), batch_size=30, shuffle=True)
    net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(epochs):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(xb), yb)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, loss.item())
    net.eval()
    with torch.no_grad():
        print("accuracy: %.4f" % (net(x[900:]).argmax(1) == y[900:]).float().mean().item())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
