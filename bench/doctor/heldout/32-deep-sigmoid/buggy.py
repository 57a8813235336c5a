import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int, default=4)
parser.add_argument("--channels", type=int, default=12)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--lr", type=float, default=0.02)
opt = parser.parse_args()
print(opt)

torch.manual_seed(123)


def half_planes(n):
    """Bright half of the image: left, right, top, bottom or checkered quarters (two ways)."""
    y = torch.randint(0, 6, (n,))
    x = torch.rand(n, 1, 12, 12)
    top = torch.zeros(12, 12)
    top[:6] = 1
    left = top.T
    quarters = (top * left) + (1 - top) * (1 - left)
    masks = torch.stack([left, 1 - left, top, 1 - top, quarters, 1 - quarters])
    x += 0.6 * masks[y].unsqueeze(1)
    return (x - x.mean()) / x.std(), y


class DeepNet(nn.Module):
    def __init__(self, depth, channels):
        super(DeepNet, self).__init__()
        act = nn.Sigmoid
        layers = [nn.Conv2d(1, channels, 3, padding=1), act()]
        for _ in range(depth - 1):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), act()]
        layers += [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(channels * 16, 32), act()]
        self.main = nn.Sequential(*layers)
        self.output = nn.Linear(32, 6)

    def forward(self, input):
        return self.output(self.main(input))


netC = DeepNet(opt.depth, opt.channels)
criterion = nn.CrossEntropyLoss()
optimizerC = torch.optim.SGD(netC.parameters(), lr=opt.lr, momentum=0.9)
dataloader = DataLoader(TensorDataset(*half_planes(1500)), batch_size=30, shuffle=True)
testx, testy = half_planes(500)

for epoch in range(opt.epochs):
    for i, (img, label) in enumerate(dataloader):
        netC.zero_grad()
        errC = criterion(netC(img), label)
        errC.backward()
        optimizerC.step()
        if i % 25 == 0:
            print("[%d/%d][%d/%d] Loss: %.4f" % (epoch, opt.epochs, i, len(dataloader), errC.item()))

netC.eval()
with torch.no_grad():
    result = netC(testx).argmax(1).eq(testy).float().mean().item()
print("accuracy: %.4f" % result)
