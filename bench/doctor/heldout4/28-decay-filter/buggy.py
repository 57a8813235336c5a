"""Four stripe directions, few images, heavily regularised SiLU net."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

HP = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.2, "epochs": 6, "batch": 40, "milestones": [4]}


def stripes(n, seed, size=24):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    yy, xx = np.mgrid[:size, :size]
    out = np.zeros((n, 1, size, size), dtype=np.float32)
    for i in range(n):
        theta = labels[i] * np.pi / 4 + rng.uniform(-0.2, 0.2)
        phase = rng.uniform(0, 2 * np.pi)
        freq = rng.uniform(0.8, 1.3)
        wave = np.sin(freq * (xx * np.cos(theta) + yy * np.sin(theta)) + phase)
        out[i, 0] = wave + rng.normal(0, 0.6, (size, size))
    return out, labels.astype(np.int64)


class StripeNet(nn.Module):
    def __init__(self, widths=(16, 32, 48), classes=4):
        super().__init__()
        layers = []
        cin = 1
        for w in widths:
            layers += [nn.Conv2d(cin, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.SiLU(), nn.AvgPool2d(2)]
            cin = w
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(cin, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def parameter_groups(model, weight_decay):
    """Weight decay for the filters and the head's matrix, none for normalisation and biases."""
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if "bn" in name or name.endswith("bias"):
            no_decay.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": no_decay, "weight_decay": 0.0}]


def train_epoch(model, loader, optimizer, criterion):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    hit = n = 0
    for x, y in loader:
        hit += (model(x).argmax(1) == y).sum().item()
        n += len(y)
    return hit / n


def main():
    torch.manual_seed(3)
    xtr, ytr = stripes(1600, seed=31)
    xte, yte = stripes(400, seed=32)
    mean, std = xtr.mean(), xtr.std()
    xtr, xte = (xtr - mean) / std, (xte - mean) / std
    train = DataLoader(TensorDataset(torch.from_numpy(xtr), torch.from_numpy(ytr)), HP["batch"], shuffle=True)
    test = DataLoader(TensorDataset(torch.from_numpy(xte), torch.from_numpy(yte)), 200)

    model = StripeNet()
    optimizer = torch.optim.SGD(parameter_groups(model, HP["weight_decay"]), lr=HP["lr"], momentum=HP["momentum"])
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, HP["milestones"], gamma=0.1)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(HP["epochs"]):
        loss = train_epoch(model, train, optimizer, criterion)
        scheduler.step()
        print(f"[{epoch + 1}/{HP['epochs']}] loss {loss:.4f}")
    print(f"accuracy: {accuracy(model, test):.3f}")


if __name__ == "__main__":
    main()
