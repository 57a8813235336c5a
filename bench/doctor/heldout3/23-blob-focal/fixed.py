"""Count-the-blobs classifier (1 to 4 cells in a field) with one-vs-all focal loss."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N_CLASSES = 4
SIDE = 24


def field(n_cells, rng):
    yy, xx = np.mgrid[:SIDE, :SIDE]
    img = rng.normal(0.2, 0.05, (SIDE, SIDE))
    centres = []
    while len(centres) < n_cells:
        c = rng.uniform(3, SIDE - 4, 2)
        if all(np.hypot(*(c - o)) > 6.5 for o in centres):
            centres.append(c)
            img += rng.uniform(0.6, 0.8) * np.exp(-((yy - c[0]) ** 2 + (xx - c[1]) ** 2) / (2 * 1.5 ** 2))
    return img


def dataset(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % N_CLASSES
    x = np.stack([field(k + 1, rng) for k in y])
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y)


class FocalLoss(nn.Module):
    def __init__(self, gamma=1.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, logits, target):
        hot = F.one_hot(target, N_CLASSES).float()
        bce = F.binary_cross_entropy_with_logits(logits, hot, reduction="none")
        pt = torch.exp(-bce)
        return ((1 - pt) ** self.gamma * bce).sum(1).mean()


class CellNet(nn.Module):
    def __init__(self, widths=(16, 24, 32), prior=0.03):
        super().__init__()
        convs, cin = [], 1
        for w in widths:
            convs += [nn.Conv2d(cin, w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            cin = w
        self.trunk = nn.Sequential(*convs)
        self.embed = nn.Linear(cin * (SIDE // 8) ** 2, 64)
        self.head = nn.Linear(64, N_CLASSES)
        self.reset(prior)

    def reset(self, prior):
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
        nn.init.normal_(self.head.weight, std=0.01)
        # start every one-vs-all output at a low prior
        for name, p in self.named_parameters():
            if name == "head.bias":
                nn.init.constant_(p, -math.log((1 - prior) / prior))

    def forward(self, x):
        x = self.trunk(x).flatten(1)
        return self.head(F.relu(self.embed(x)))


def fit(net, x, y, epochs=10, batch=40, lr=1e-3):
    loss_fn, opt = FocalLoss(), torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            opt.zero_grad()
            loss = loss_fn(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch}: {total / len(x):.4f}")


if __name__ == "__main__":
    torch.manual_seed(4)
    x_train, y_train = dataset(1200, seed=40)
    x_test, y_test = dataset(400, seed=41)
    mean, std = x_train.mean(), x_train.std()
    net = CellNet()
    fit(net, (x_train - mean) / std, y_train)
    net.eval()
    with torch.no_grad():
        pred = net((x_test - mean) / std).argmax(1)
    print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
