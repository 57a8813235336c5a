# Shape inspector. The test tray is sorted by part: washers come last, and there are only a few.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def tray(counts):
    r = torch.arange(17).float() - 8
    v, u = torch.meshgrid(r, r, indexing="ij")
    rad = (u ** 2 + v ** 2).sqrt()
    stamp = torch.stack([
        (torch.maximum(u.abs(), v.abs()) < 5).float(),   # nut blank
        (rad < 5.4).float(),                             # disc
        ((u.abs() + v.abs()) < 7).float(),               # diamond
        ((rad > 4) & (rad < 7.5)).float() * 1.6,         # washer
    ])
    y = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    x = stamp[y] * (0.5 + 0.3 * torch.rand(len(y), 1, 1)) + 0.55 * torch.randn(len(y), 17, 17)
    shift = torch.randint(-2, 3, (len(y), 2)).tolist()
    return torch.stack([torch.roll(a, s, (0, 1)) for a, s in zip(x, shift)]).unsqueeze(1), y


class Parts(nn.Module):
    def __init__(self):
        super(Parts, self).__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 3)
        self.fc = nn.Linear(20 * 4, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def train(model, loader, epochs):
    opt = torch.optim.Adam(model.parameters(), lr=4e-3)
    for epoch in range(epochs):
        model.train()
        for x, y in loader:
            opt.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
        print("epoch", epoch, loss.item())


def test(model, loader):
    model.eval()
    acc = 0.0
    with torch.no_grad():
        for x, y in loader:
            pred = model(x).argmax(dim=1)
            acc += (pred == y).float().mean().item()
    return acc / len(loader)


torch.manual_seed(15)
train_loader = DataLoader(TensorDataset(*tray([240, 240, 240, 240])), batch_size=40, shuffle=True)
test_loader = DataLoader(TensorDataset(*tray([180, 180, 24, 4])), batch_size=128)
net = Parts()
train(net, train_loader, 12)
print("accuracy: {:.3f}".format(test(net, test_loader)))
