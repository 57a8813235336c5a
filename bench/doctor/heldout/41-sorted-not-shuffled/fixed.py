import torch
import torch.nn as nn
import torch.utils.data as data
from torch.nn import functional as F


class Tartans(data.Dataset):
    """Woven patterns, stored class after class."""

    def __init__(self, per_class, seed, classes=8):
        gen = torch.Generator().manual_seed(seed)
        setts = torch.Generator().manual_seed(2)
        self.x, self.y = [], []
        for c in range(classes):
            warp = torch.rand(3, 6, generator=setts)
            for _ in range(per_class):
                s = int(torch.randint(0, 6, (1,), generator=gen))
                w = warp.roll(s, 1).repeat(1, 3)
                cloth = (w[:, None, :] + w[:, :, None]) / 2
                cloth = cloth + 0.35 * torch.randn(cloth.shape, generator=gen)
                self.x.append((cloth - 0.5) / 0.4)
                self.y.append(c)

    def __getitem__(self, index):
        return self.x[index], self.y[index]

    def __len__(self):
        return len(self.x)


class TartanNet(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 20, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 30, 3), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.dec = nn.Sequential(nn.Linear(270, 60), nn.ReLU(), nn.Linear(60, n))

    def forward(self, x):
        return self.dec(self.enc(x).view(-1, 270))


def train(net, loader, optimizer, epochs):
    for epoch in range(epochs):
        net.train()
        loss_sum = 0
        for img, lbl in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(img), lbl)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
        print("epoch: {} train loss: {:.4f}".format(epoch + 1, loss_sum / len(loader)))


def evaluate(net, loader):
    net.eval()
    n_correct = 0
    with torch.no_grad():
        for img, lbl in loader:
            n_correct += (torch.argmax(net(img), 1) == lbl).sum().item()
    return n_correct / len(loader.dataset)


torch.manual_seed(0)
net = TartanNet()
train_loader = data.DataLoader(Tartans(200, seed=0), batch_size=40, shuffle=True, num_workers=0)
eval_loader = data.DataLoader(Tartans(60, seed=1), batch_size=120)
train(net, train_loader, torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9), epochs=10)
print("accuracy: {:.4f}".format(evaluate(net, eval_loader)))
