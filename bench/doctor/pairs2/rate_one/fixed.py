import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("-b", "--batch", default=50, type=int)
parser.add_argument("-e", "--epochs", default=7, type=int)
parser.add_argument("--lr", default=0.02, type=float)
parser.add_argument("--momentum", default=0.9, type=float)


def colour_pairs(n, gen):
    """Left half and right half have a hue; the class is the pair's relation: same, redder, greener, bluer."""
    label = torch.randint(0, 4, (n,), generator=gen)
    base = 0.3 + 0.3 * torch.rand(n, 3, generator=gen)
    other = base.clone()
    rows = torch.arange(n)[label > 0]
    other[rows, label[rows] - 1] += 0.2
    img = torch.empty(n, 3, 20, 20)
    img[..., :10] = base[:, :, None, None]
    img[..., 10:] = other[:, :, None, None]
    img += 0.2 * torch.randn(img.shape, generator=gen)
    return (img - 0.47) / 0.25, label


class Relation(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(),
            nn.AvgPool2d(5),
        )
        self.dec = nn.Sequential(nn.Flatten(), nn.Linear(24 * 4, 48), nn.ReLU(), nn.Linear(48, 4))

    def forward(self, x):
        return self.dec(self.enc(x))


def main():
    opts = parser.parse_args()
    torch.manual_seed(0)
    gen = torch.Generator().manual_seed(42)
    train = DataLoader(TensorDataset(*colour_pairs(2000, gen)), opts.batch, shuffle=True)
    test = DataLoader(TensorDataset(*colour_pairs(500, gen)), 100)
    model = Relation()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), opts.lr, momentum=opts.momentum)
    for epoch in range(opts.epochs):
        model.train()
        meter = []
        for images, target in train:
            output = model(images)
            loss = criterion(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter.append(loss.item())
        print("Epoch [{}] Loss {:.4f}".format(epoch, sum(meter) / len(meter)))
    model.eval()
    top1 = 0
    with torch.no_grad():
        for images, target in test:
            top1 += model(images).max(1)[1].eq(target).sum().item()
    print("accuracy: {:.3f}".format(top1 / 500))


if __name__ == "__main__":
    main()
