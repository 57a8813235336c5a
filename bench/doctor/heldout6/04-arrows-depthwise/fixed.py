import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

DIRECTIONS = 8
SIDE = 32
BATCH = 50
EPOCHS = 6


def arrow(k, rng):
    big = 3 * SIDE
    im = Image.new("L", (big, big), int(rng.integers(20, 90)))
    d = ImageDraw.Draw(im)
    a = 2 * math.pi * k / DIRECTIONS + rng.normal(0, 0.1)
    cx, cy = big / 2 + rng.uniform(-10, 10, 2)
    r = rng.uniform(26, 36)
    tip = (cx + r * math.cos(a), cy + r * math.sin(a))
    tail = (cx - r * math.cos(a), cy - r * math.sin(a))
    ink = int(rng.integers(160, 256))
    d.line([tail, tip], fill=ink, width=int(rng.integers(5, 10)))
    head = [tip]
    for s in (-1, 1):
        b = a + math.pi + s * 0.6
        head.append((tip[0] + 24 * math.cos(b), tip[1] + 24 * math.sin(b)))
    d.polygon(head, fill=ink)
    out = np.asarray(im.resize((SIDE, SIDE), Image.BILINEAR), dtype=np.float32)
    return out + rng.normal(0, 12, out.shape)


def arrows(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % DIRECTIONS
    rng.shuffle(y)
    x = np.stack([arrow(k, rng) for k in y])[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def separable(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin), nn.ReLU(),
        nn.Conv2d(cin, cout, 1), nn.ReLU(),
    )


class MobileLite(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(),
            separable(32, 48, 1),
            separable(48, 64, 2),
            separable(64, 64, 1),
            separable(64, 96, 2),
        )
        self.fc = nn.Linear(96 * 4 * 4, DIRECTIONS)
        self._initialize_weights()

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels // m.groups
                m.weight.data.normal_(0, math.sqrt(2.0 / n))
                m.bias.data.zero_()
            elif isinstance(m, nn.Linear):
                m.weight.data.normal_(0, math.sqrt(1.0 / m.in_features))
                m.bias.data.zero_()

    def forward(self, x):
        return self.fc(self.body(x).flatten(1))


def train(net, x, y, lr):
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=EPOCHS, power=1.0)
    crit = nn.CrossEntropyLoss()
    for epoch in range(EPOCHS):
        net.train()
        order = torch.randperm(len(x))
        running = 0.0
        for i in range(0, len(x), BATCH):
            pick = order[i:i + BATCH]
            loss = crit(net(x[pick]), y[pick])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            opt.step()
            running += loss.item() * len(pick)
        sched.step()
        print(f"{epoch + 1:2d}  loss {running / len(x):.4f}")


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        pred = torch.cat([net(part).argmax(1) for part in x.split(128)])
    return (pred == y).float().mean().item()


def main():
    torch.manual_seed(3)
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    xtr, ytr = arrows(1200, 10)
    xte, yte = arrows(400, 20)
    mu, sd = xtr.mean(), xtr.std()
    xtr, xte = ((xtr - mu) / sd).to(dev), ((xte - mu) / sd).to(dev)
    net = MobileLite().to(dev)
    train(net, xtr, ytr.to(dev), lr=0.02)
    print(f"accuracy: {accuracy(net, xte, yte.to(dev)):.3f}")


main()
