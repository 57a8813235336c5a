import os
import sys
import time

import numpy as np
import torch
from torch import nn, optim


class Block(nn.Module):
    """conv-bn-relu with an optional 2x2 pooling at the end"""

    def __init__(self, cin, cout, pool):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x):
        return self.pool(torch.relu(self.bn(self.conv(x))))


class StackNet(nn.Module):
    def __init__(self, widths=(12, 16, 24, 32), n_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = []
        c = widths[0]
        for w in widths[1:]:
            self.blocks.append(Block(c, w, pool=True))
            c = w
        self.head = nn.Linear(c, n_classes)

    def forward(self, x):
        h = torch.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean((2, 3)))


def get_data():
    base = os.environ.get("TENFOLD_DATA", "")
    f = os.path.join(base, "cifar10", "cifar-10-batches-bin", "data_batch_2.bin")
    if base and os.path.exists(f):
        with open(f, "rb") as fh:
            buf = np.frombuffer(fh.read(2400 * 3073), dtype=np.uint8).reshape(2400, 3073)
        y, x = buf[:, 0].astype("int64"), buf[:, 1:].reshape(-1, 3, 32, 32).astype("float32")
    else:
        r = np.random.default_rng(4)
        y = r.integers(0, 10, 2400)
        yy, xx = np.mgrid[:32, :32] / 32.0
        wave = np.stack([np.sin(2 * np.pi * ((1 + k % 5) * xx + (1 + k // 2) * yy)) for k in range(10)])
        x = (128 + 50 * wave[y][:, None] + r.normal(0, 40, (2400, 3, 32, 32))).astype("float32")
    m = x.mean(axis=(0, 2, 3), keepdims=True)
    s = x.std(axis=(0, 2, 3), keepdims=True)
    return torch.from_numpy((x - m) / s), torch.from_numpy(y)


def main():
    torch.manual_seed(99)
    x, y = get_data()
    perm = torch.randperm(len(x))
    tr, va = perm[:2000], perm[2000:]
    net = StackNet()
    crit = nn.CrossEntropyLoss()
    opt = optim.Adam(net.parameters(), lr=0.003)

    for ep in range(6):
        t0 = time.time()
        net.train()
        order = tr[torch.randperm(len(tr))]
        steps = len(order) // 40
        for k in range(steps):
            b = order[k * 40 : (k + 1) * 40]
            opt.zero_grad()
            out = net(x[b])
            loss = crit(out, y[b])
            loss.backward()
            opt.step()
            if k % 10 == 0:
                sys.stdout.write("\r  %3d%%  loss %.3f" % (100 * k // steps, loss.item()))
        net.eval()
        with torch.no_grad():
            acc = torch.cat([net(c).argmax(1) for c in x[va].split(200)]).eq(y[va]).float().mean().item()
        print("\repoch %d done in %.1fs, val acc %.3f" % (ep, time.time() - t0, acc))
    print("accuracy: %.3f" % acc)


main()
