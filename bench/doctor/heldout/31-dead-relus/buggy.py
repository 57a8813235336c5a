import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

PRIOR = 0.01


class Detector(nn.Module):
    """Which of four kinds of object is on the tile, one score map per kind, max over the map."""

    def __init__(self, kinds=4, prior=PRIOR):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(24, 24, 3, padding=1)
        self.score = nn.Conv2d(24, kinds, 1)
        self.reset_parameters(prior)

    def reset_parameters(self, prior):
        bias = -math.log((1 - prior) / prior)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                nn.init.constant_(m.bias, bias)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        return self.score(x).flatten(2).max(dim=2).values


def tiles(n):
    y = torch.randint(0, 4, (n,))
    x = 0.25 * torch.randn(n, 1, 16, 16)
    for k in range(n):
        r, c = torch.randint(0, 11, (2,)).tolist()
        obj = torch.zeros(5, 5)
        if y[k] == 0:
            obj[2, :] = 1
        elif y[k] == 1:
            obj[:, 2] = 1
        elif y[k] == 2:
            obj += torch.eye(5)
        else:
            obj += torch.eye(5).flip(0)
        x[k, 0, r : r + 5, c : c + 5] += obj
    return x, y


def main():
    torch.manual_seed(40)
    dl = DataLoader(TensorDataset(*tiles(1600)), batch_size=32, shuffle=True)
    ex, ey = tiles(500)
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for epoch in range(10):
        epoch_loss = 0.0
        for x, y in dl:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            epoch_loss += loss.item()
        print(f"epoch {epoch} loss {epoch_loss / len(dl):.4f}")
    with torch.no_grad():
        acc = (model(ex).argmax(1) == ey).float().mean().item()
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
