import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import MultiStepLR


def cifar(part, n):
    name = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin", "data_batch_%s.bin" % part)
    if os.path.isfile(name):
        rec = np.fromfile(name, np.uint8, n * 3073).reshape(n, 3073)
        x, y = rec[:, 1:].reshape(n, 3, 32, 32) / 255.0, rec[:, 0]
    else:
        rng = np.random.RandomState(int(part))
        y = rng.randint(0, 10, n)
        x = y[:, None, None, None] / 10.0 + rng.randn(n, 3, 32, 32) * 0.3
    return torch.tensor((x - 0.47) / 0.25, dtype=torch.float32), torch.tensor(y, dtype=torch.int64)


class Net(nn.Module):
    def __init__(self, w=16):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w)
        self.c2, self.b2 = nn.Conv2d(w, 2 * w, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * w)
        self.c3, self.b3 = nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=False), nn.BatchNorm2d(4 * w)
        self.fc = nn.Linear(4 * w, 10)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        x = F.relu(self.b3(self.c3(x)))
        return self.fc(x.mean((2, 3)))


def main(epochs=8, batch_size=64, lr=0.02):
    torch.manual_seed(0)
    xt, yt = cifar("2", 4000)
    xv, yv = cifar("3", 1000)
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    sched = MultiStepLR(opt, milestones=[10, 20], gamma=0.1)
    steps = 0
    for epoch in range(epochs):
        net.train()
        for idx in torch.randperm(len(xt)).split(batch_size):
            opt.zero_grad()
            loss = F.cross_entropy(net(xt[idx]), yt[idx])
            loss.backward()
            opt.step()
            steps += 1
        sched.step()
        print(f"epoch {epoch} step {steps} lr {sched.get_last_lr()[0]:.2g} loss {loss.item():.3f}")
    net.eval()
    with torch.no_grad():
        print("accuracy: %.4f" % (net(xv).argmax(1) == yv).float().mean().item())


main()
