import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

BASE_LR = 0.02
WARMUP_STEPS = 10
WARMUP_FACTOR = 0.01


def warmup(step):
    return WARMUP_FACTOR if step < WARMUP_STEPS else 1.0


def rings(n, rng):
    """Number of rings, 1 to 4, around a random centre."""
    y = rng.integers(0, 4, n)
    v, u = np.mgrid[0:22, 0:22]
    c = rng.uniform(9, 12, (2, n, 1, 1))
    r = np.hypot(v - c[0], u - c[1])
    x = np.cos(r * (y[:, None, None] + 1) * 0.55 + rng.uniform(-0.5, 0.5, (n, 1, 1)))
    x += rng.normal(0, 0.6, x.shape)
    return TensorDataset(torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y))


class RingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.neck = nn.Linear(24 * 25, 48)
        self.head = nn.Linear(48, 4)

    def forward(self, x):
        x = self.trunk(x).flatten(1)
        return self.head(torch.relu(self.neck(x)))


if __name__ == "__main__":
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    loader = DataLoader(rings(1000, rng), batch_size=40, shuffle=True)
    model = RingNet()
    sgd = torch.optim.SGD(model.parameters(), lr=BASE_LR, momentum=0.9)
    schedule = LambdaLR(sgd, warmup)
    for epoch in range(8):
        model.train()
        for x, y in loader:
            sgd.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            sgd.step()
            schedule.step()
        print("epoch", epoch, "loss", round(loss.item(), 3), "lr", sgd.param_groups[0]["lr"])
    model.eval()
    hits = []
    with torch.no_grad():
        for x, y in DataLoader(rings(500, rng), batch_size=100):
            hits += (model(x).argmax(1) == y).tolist()
    print("accuracy: %.3f" % (sum(hits) / len(hits)))
