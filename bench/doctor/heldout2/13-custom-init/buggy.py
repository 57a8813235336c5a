import argparse
import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--ndf", type=int, default=8, help="base number of feature maps")
parser.add_argument("--niter", type=int, default=7, help="number of epochs to train for")
parser.add_argument("--batchSize", type=int, default=50)
parser.add_argument("--lr", type=float, default=0.002)
parser.add_argument("--manualSeed", type=int, default=1234)
opt = parser.parse_args()

print("Random Seed: ", opt.manualSeed)
random.seed(opt.manualSeed)
np.random.seed(opt.manualSeed)
torch.manual_seed(opt.manualSeed)
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def faces(n):
    """Cartoon faces; the label tells mouth (smile / flat / frown) x eyes (open / closed)."""
    x = np.random.normal(0, 0.3, (n, 1, 24, 24)).astype("float32")
    y = np.random.randint(0, 6, n)
    for i in range(n):
        mouth, closed = divmod(int(y[i]), 2)
        oy, ox = np.random.randint(-3, 4, 2)
        for ex in (8, 16):
            if closed:
                x[i, 0, 9 + oy, ex - 2 + ox : ex + 2 + ox] += 2
            else:
                x[i, 0, 8 + oy : 11 + oy, ex - 1 + ox : ex + 1 + ox] += 2
        for t in range(-4, 5):
            bend = (1 - mouth) * (2 - t * t // 5)
            x[i, 0, 16 + bend + oy, 12 + t + ox] += 2
    return torch.from_numpy((x - 0.09) / 0.5), torch.from_numpy(y).long()


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1 or classname.find("Linear") != -1:
        nn.init.normal_(m.weight)
        nn.init.zeros_(m.bias)


class Classifier(nn.Module):
    def __init__(self, ndf):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1),
            nn.ReLU(True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1),
            nn.ReLU(True),
            nn.Conv2d(ndf * 2, ndf * 4, 3, 1, 1),
            nn.ReLU(True),
        )
        self.fc1 = nn.Linear(ndf * 4 * 6 * 6, 64)
        self.fc2 = nn.Linear(64, 6)

    def forward(self, input):
        h = self.main(input).flatten(1)
        return self.fc2(torch.relu(self.fc1(h)))


train_x, train_y = faces(1800)
val_x, val_y = faces(400)
loader = DataLoader(TensorDataset(train_x, train_y), batch_size=opt.batchSize, shuffle=True)

net = Classifier(opt.ndf).to(device)
net.apply(weights_init)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(net.parameters(), lr=opt.lr)

for epoch in range(opt.niter):
    net.train()
    for i, (x, y) in enumerate(loader, 0):
        x, y = x.to(device), y.to(device)
        net.zero_grad()
        err = criterion(net(x), y)
        err.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        acc = (net(val_x.to(device)).argmax(1).cpu() == val_y).float().mean().item()
    print("[%d/%d] Loss: %.4f  Val: %.3f" % (epoch + 1, opt.niter, err.item(), acc))
print("accuracy: %.3f" % acc)
