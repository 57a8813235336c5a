"""Fabric defects with a small residual net and generalised-mean pooling."""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

DEFECTS = ["none", "hole", "slub", "stain"]


def swatch(kind, g, s=24):
    yy, xx = np.mgrid[:s, :s].astype(float)
    f = g.uniform(1.2, 1.6)
    cloth = 0.5 + 0.12 * np.sin(f * xx + g.uniform(0, 6)) + 0.12 * np.sin(f * yy + g.uniform(0, 6))
    cy, cx = g.uniform(6, s - 6, 2)
    d = np.hypot(yy - cy, xx - cx)
    if kind == 1:
        cloth[d < g.uniform(2.2, 3.5)] = 0.05
    elif kind == 2:
        cloth[int(cy):int(cy) + 2] += 0.35
    elif kind == 3:
        cloth = cloth + 0.4 * np.exp(-(d / g.uniform(3, 5)) ** 2)
    return cloth + g.normal(0, 0.08, (s, s))


def make(n, seed):
    g = np.random.default_rng(seed)
    y = np.arange(n) % len(DEFECTS)
    x = np.stack([swatch(k, g) for k in y]).astype(np.float32)
    return torch.from_numpy((x - 0.53) / 0.22).unsqueeze(1), torch.from_numpy(y)


class GeM(nn.Module):
    """Between average pooling (p = 1) and maximum pooling (p -> inf); p is learnt."""

    def __init__(self, p=3.0):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = 1e-6

    def forward(self, x):
        x = x.clamp(min=self.eps).pow(self.p)
        return x.mean(dim=(-2, -1)).pow(1.0 / self.p)


class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(cin, cout, 3, 2, 1, bias=False), nn.BatchNorm2d(cout)
        self.c2, self.n2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.cs, self.ns = nn.Conv2d(cin, cout, 1, 2, bias=False), nn.BatchNorm2d(cout)

    def forward(self, x):
        h = F.relu(self.n1(self.c1(x)))
        return F.relu(self.n2(self.c2(h)) + self.ns(self.cs(x)))


class FabricNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.blocks = nn.Sequential(Block(12, 24), Block(24, 32), Block(32, 64))
        self.pool = GeM()
        self.fc = nn.Linear(64, len(DEFECTS))

    def forward(self, x):
        return self.fc(self.pool(self.blocks(self.stem(x))))


def main():
    torch.manual_seed(7)
    epochs = 6
    x, y = make(1000, seed=70)
    train_loader = DataLoader(TensorDataset(x, y), batch_size=40, shuffle=True)
    test_loader = DataLoader(TensorDataset(*make(400, seed=71)), batch_size=100)
    net = FabricNet()
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    for epoch in range(epochs):
        net.train()
        for xb, yb in train_loader:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
                loss = F.cross_entropy(net(xb), yb)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
        sched.step()
        print(f"[{epoch}] last loss {loss.item():.3f}")
    net.eval()
    right = 0
    with torch.inference_mode():
        for xb, yb in test_loader:
            right += int((net(xb).argmax(1) == yb).sum())
    print(f"accuracy: {right / 400:.3f}")


if __name__ == "__main__":
    main()
