import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(42)
rs = np.random.RandomState(42)
NAMES = ["disc", "frame", "saltire", "plus", "bars"]


def render(kind):
    yy, xx = np.mgrid[0:24, 0:24].astype(np.float32)
    cy, cx, r = rs.uniform(9, 15), rs.uniform(9, 15), rs.uniform(5.5, 8)
    dy, dx = yy - cy, xx - cx
    inside = (abs(dy) <= r) & (abs(dx) <= r)
    if kind == "disc":
        mask = dy ** 2 + dx ** 2 <= r ** 2
    elif kind == "frame":
        mask = inside & ((abs(dy) > r - 2.5) | (abs(dx) > r - 2.5))
    elif kind == "saltire":
        mask = inside & ((abs(dy - dx) < 2.5) | (abs(dy + dx) < 2.5))
    elif kind == "plus":
        mask = inside & ((abs(dy) < 1.8) | (abs(dx) < 1.8))
    else:
        mask = inside & ((yy.astype(int) // 2) % 2 == 0)
    img = rs.uniform(0.0, 0.4, (3, 1, 1)) + np.zeros((3, 24, 24))
    img[:, mask] = rs.uniform(0.5, 1.0, (3, 1))
    return img + rs.normal(0, 0.15, img.shape)


def dataset(n):
    labels = rs.randint(0, len(NAMES), n)
    images = np.stack([render(NAMES[k]) for k in labels])
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels, dtype=torch.long)


class OneVsRestNet(nn.Module):
    """Independent sigmoid per class; starts with the rare-positive prior of the focal loss paper."""

    def __init__(self, n_classes, pi=0.01):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 6 * 6, 64)
        self.head = nn.Linear(64, n_classes)
        prior = -math.log((1 - pi) / pi)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.constant_(m.bias, prior if m is self.head else 0.0)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc(torch.flatten(x, 1)))
        return self.head(x)


train_x, train_y = dataset(2000)
test_x, test_y = dataset(500)
mean = train_x.mean(dim=(0, 2, 3), keepdim=True)
std = train_x.std(dim=(0, 2, 3), keepdim=True)
train_dl = DataLoader(TensorDataset((train_x - mean) / std, train_y), batch_size=50, shuffle=True)
test_dl = DataLoader(TensorDataset((test_x - mean) / std, test_y), batch_size=250)

net = OneVsRestNet(len(NAMES))
bce = nn.BCEWithLogitsLoss()
optim = torch.optim.Adam(net.parameters(), lr=1e-3)

for epoch in range(5):
    net.train()
    losses = []
    for xb, yb in train_dl:
        onehot = F.one_hot(yb, len(NAMES)).float()
        loss = bce(net(xb), onehot)
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    print("epoch %d  bce %.4f" % (epoch, np.mean(losses)))

net.eval()
right = 0
with torch.no_grad():
    for xb, yb in test_dl:
        right += int((net(xb).argmax(1) == yb).sum())
print("accuracy: %.3f" % (right / len(test_y)))
