"""Train a small network on three kinds of noise fields."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, random_split, TensorDataset


def fields(n):
    y = torch.randint(0, 3, (n,))
    x = torch.randn(n, 1, 20, 20)
    smooth = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="circular"), 3, stride=1) * 3
    rows = x.mean(dim=3, keepdim=True).expand_as(x) * 4 + 0.5 * x
    x = torch.where((y == 0)[:, None, None, None], x, torch.where((y == 1)[:, None, None, None], smooth, rows))
    return TensorDataset(x, y)


class FieldNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 8, 5)
        self.out = nn.Linear(8 * 2 * 2, 3)

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x)), 2)
        return self.out(torch.flatten(x, 1))


def loop(model, loader, loss_fn, optimizer=None):
    model.train(optimizer is not None)
    seen = hits = 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            out = model(x)
            loss = loss_fn(out, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            hits += (out.argmax(1) == y).sum().item()
            seen += len(y)
    return hits / seen


def main():
    torch.manual_seed(21)
    train, val = random_split(fields(2000), [1500, 500])
    model = FieldNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(5):
        acc = loop(model, DataLoader(train, 30, shuffle=True), loss_fn, optimizer)
        print("epoch", epoch, "train", acc)
    acc = loop(model, DataLoader(val, 100), loss_fn)
    print(f"accuracy: {acc:.4f}")


main()
