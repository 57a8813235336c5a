import time

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class AverageMeter:
    def __init__(self):
        self.sum = self.count = 0

    def update(self, val, n=1):
        self.sum += val * n
        self.count += n

    @property
    def avg(self):
        return self.sum / max(self.count, 1)


def get_loaders(bs):
    torch.manual_seed(10)
    centres = torch.randn(10, 1, 14, 14)
    y = torch.randint(0, 10, (3000,))
    x = centres[y] * 0.5 + torch.randn(3000, 1, 14, 14)
    train, val = TensorDataset(x[:2400], y[:2400]), TensorDataset(x[2400:], y[2400:])
    return DataLoader(train, bs, shuffle=True), DataLoader(val, 2 * bs)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 5, stride=2)
        self.norm = nn.GroupNorm(4, 16)
        self.fc = nn.Linear(400, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.conv(x))).flatten(1))


def train(loader, model, criterion, optimizer, epoch):
    meter, tic = AverageMeter(), time.time()
    model.train()
    for inp, tgt in loader:
        out = model(inp)
        loss = criterion(out, tgt)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        meter.update(loss.item(), inp.size(0))
    print(f"Epoch [{epoch}] loss {meter.avg:.4f} time {time.time() - tic:.1f}")


def validate(loader, model):
    meter = AverageMeter()
    model.eval()
    with torch.no_grad():
        for inp, tgt in loader:
            meter.update((model(inp).argmax(1) == tgt).float().mean().item(), inp.size(0))
    return meter.avg


def main():
    train_loader, val_loader = get_loaders(60)
    model = ConvNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    for epoch in range(4):
        train(train_loader, model, criterion, optimizer, epoch)
    print(f"accuracy: {validate(val_loader, model):.4f}")


if __name__ == "__main__":
    main()
