import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def where_is_it(n, seed):
    """A dot in one of nine cells of a 24x24 image, and a second, fainter one anywhere."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 9, (n,), generator=g)
    x = torch.randn(n, 1, 24, 24, generator=g) * 0.2
    for i in range(n):
        r = 8 * int(y[i] // 3) + int(torch.randint(1, 6, (1,), generator=g))
        c = 8 * int(y[i] % 3) + int(torch.randint(1, 6, (1,), generator=g))
        x[i, 0, r : r + 2, c : c + 2] += 1.5
        a, b = torch.randint(0, 22, (2,), generator=g).tolist()
        x[i, 0, a : a + 2, b : b + 2] += 0.6
    return TensorDataset(x, y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(
            [nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)]
        )
        self.fc = nn.LazyLinear(9)

    def forward(self, x):
        for conv in self.convs:
            x = (
                F.max_pool2d(F.relu(conv(x)), 2)
                if x.size(-1) > 4
                else F.adaptive_max_pool2d(F.relu(conv(x)), 1)
            )
        return self.fc(torch.flatten(x, 1))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-e", "--epochs", type=int, default=5)
    ap.add_argument("-b", "--batch", type=int, default=50)
    opts = ap.parse_args()
    torch.manual_seed(0)
    train, test = where_is_it(2000, 0), where_is_it(500, 1)
    net = Net()
    net(torch.zeros(1, 1, 24, 24))
    optim = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(opts.epochs):
        for x, y in DataLoader(train, opts.batch, shuffle=True):
            optim.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optim.step()
        print(epoch, loss.item())
    net.eval()
    with torch.no_grad():
        acc = sum((net(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, 100)) / len(test)
    print("accuracy: {:.4f}".format(acc))


if __name__ == "__main__":
    main()
