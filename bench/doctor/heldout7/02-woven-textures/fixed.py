import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

# ---------------------------------------------------------------- data

WEAVES = ["plain", "twill_l", "twill_r", "rib_h", "rib_v", "houndstooth", "dots", "rings",
          "coarse_check", "fine_check", "zigzag", "noise", "waves", "brick"]


def weave(kind, size, g):
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32)
    yy += g.uniform(0, 16)
    xx += g.uniform(0, 16)
    f = g.uniform(0.85, 1.15)
    u, v = xx * f, yy * f
    if kind == "plain":
        t = np.sin(u * 1.6) * np.sin(v * 1.6)
    elif kind == "twill_l":
        t = np.sin((u + v) * .9)
    elif kind == "twill_r":
        t = np.sin((u - v) * .9)
    elif kind == "rib_h":
        t = np.sin(v * 1.2)
    elif kind == "rib_v":
        t = np.sin(u * 1.2)
    elif kind == "houndstooth":
        t = np.sign(np.sin(u * .8) * np.sin(v * .8)) * np.sign(np.sin((u + v) * 1.6))
    elif kind == "dots":
        t = ((u % 6 - 3) ** 2 + (v % 6 - 3) ** 2 < 4) * 2. - 1
    elif kind == "rings":
        t = np.sin(np.hypot(u % 14 - 7, v % 14 - 7) * 1.8)
    elif kind == "coarse_check":
        t = np.sign(np.sin(u * .5) * np.sin(v * .5))
    elif kind == "fine_check":
        t = np.sign(np.sin(u * 1.05) * np.sin(v * 1.05))
    elif kind == "zigzag":
        t = np.sin((v + np.abs(u % 10 - 5)) * 1.1)
    elif kind == "noise":
        t = g.normal(0, .8, u.shape)
    elif kind == "waves":
        t = np.sin(v * 1.1 + 2 * np.sin(u * .6))
    else:
        row = np.floor(v / 4)
        t = 1 - 2. * (((v % 4) < 1) | (((u + 4 * (row % 2)) % 8) < 1))
    t = t * g.uniform(.5, 1) * g.choice([-1, 1]) + g.normal(0, .35, t.shape)
    return t.astype(np.float32)


def make_cloth(n, size=28, seed=3):
    g = np.random.default_rng(seed)
    y = np.arange(n) % len(WEAVES)
    x = np.stack([weave(WEAVES[k], size, g) for k in y])[:, None]
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(y))


# ---------------------------------------------------------------- net

def conv(cin, cout, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


def mlp(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class ClothNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(conv(1, 16), conv(16, 32, 2), conv(32, 48, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = mlp(48, 64, classes)

    def forward(self, x):
        return self.head(self.pool(self.body(x)).flatten(1))


# ---------------------------------------------------------------- training

class Trainer:
    def __init__(self, net, train_set, held_out, lr=4e-3, epochs=6, batch=64):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = net.to(self.device)
        self.train_loader = DataLoader(train_set, batch, shuffle=True, drop_last=True)
        self.test_loader = DataLoader(held_out, 200)
        self.epochs = epochs
        self.opt = torch.optim.Adam(self.net.parameters(), lr=lr)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, lr, epochs * len(self.train_loader))
        self.criterion = nn.CrossEntropyLoss()

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            t0 = time.time()
            self.net.train()
            losses = []
            for x, y in self.train_loader:
                x, y = x.to(self.device), y.to(self.device)
                self.opt.zero_grad(set_to_none=True)
                loss = self.criterion(self.net(x), y)
                loss.backward()
                self.opt.step()
                self.sched.step()
                losses.append(loss.item())
            print(f"[{epoch}/{self.epochs}] loss={np.mean(losses):.3f} ({time.time() - t0:.1f}s)")

    @torch.no_grad()
    def evaluate(self):
        self.net.eval()
        right = total = 0
        for x, y in self.test_loader:
            right += (self.net(x.to(self.device)).argmax(1).cpu() == y).sum().item()
            total += len(y)
        return right / total


if __name__ == "__main__":
    torch.manual_seed(0)
    cloth = make_cloth(1820)
    train_set, held_out = random_split(cloth, [1420, 400])
    trainer = Trainer(ClothNet(len(WEAVES)), train_set, held_out)
    trainer.fit()
    print(f"accuracy: {trainer.evaluate():.3f}")
