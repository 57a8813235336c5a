import math

import torch
import torch.nn as nn
import torch.nn.functional as F

DIRECTIONS = 8
KINDS = 2          # solid head, open head
CLASSES = DIRECTIONS * KINDS


def make_arrows(n, gen, size=28):
    """Signed-distance style drawing of n arrows at once. Class = direction * 2 + kind of head."""
    y = torch.randint(0, CLASSES, (n,), generator=gen)
    u = lambda lo, hi: torch.rand(n, 1, 1, generator=gen) * (hi - lo) + lo
    angle = (y // KINDS).float().view(-1, 1, 1) * (2 * math.pi / DIRECTIONS) + u(-.22, .22)
    gy, gx = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
    dx, dy = gx - size / 2 - u(-3, 3), gy - size / 2 - u(-3, 3)
    along = dx * angle.cos() + dy * angle.sin()
    across = (dy * angle.cos() - dx * angle.sin()).abs()
    length, spread = u(8, 11), u(.6, .8)
    shaft = (along.abs() < length) & (across < .9)
    wedge = (length - along) * spread
    head = (along > length - 9) & (along < length) & (across < wedge)
    is_open = (y % KINDS == 1).view(-1, 1, 1)
    barbs = head & (across > wedge - 1.4)
    ink = shaft | torch.where(is_open, barbs, head)
    paper = u(.5, 1.)
    img = torch.where(ink, u(0, .3), paper) + .06 * torch.randn(n, size, size, generator=gen)
    return ((img - .7) / .25).unsqueeze(1), y


class Separable(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.depth = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.bn1 = nn.BatchNorm2d(cin)
        self.point = nn.Conv2d(cin, cout, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.relu(self.bn1(self.depth(x)))
        return F.relu(self.bn2(self.point(x)))


class ArrowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 3, 2, 1), nn.ReLU(),
            Separable(24, 48), Separable(48, 64, 2), Separable(64, 64))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, CLASSES))

    def forward(self, x):
        return self.head(self.body(x))


def train_epoch(net, x, y, body_opt, head_opt, batch=40):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(x), device=x.device).split(batch):
        body_opt.zero_grad()
        head_opt.zero_grad()
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        body_opt.step()
        head_opt.step()
        total += loss.item() * len(idx)
    return total / len(x)


@torch.no_grad()
def score(net, x, y):
    net.eval()
    return torch.cat([net(part).argmax(1) for part in x.split(200)]).eq(y).float().mean().item()


def main():
    torch.manual_seed(21)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gen = torch.Generator().manual_seed(21)
    x, y = (t.to(device) for t in make_arrows(1600, gen))
    x_test, y_test = (t.to(device) for t in make_arrows(500, gen))
    net = ArrowNet().to(device)
    body_opt = torch.optim.SGD(net.body.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    head_opt = torch.optim.AdamW(net.head.parameters(), lr=1e-3)
    epochs = 5
    schedules = [torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.1, epochs - 1) for o in (body_opt, head_opt)]
    for epoch in range(epochs):
        loss = train_epoch(net, x, y, body_opt, head_opt)
        for s in schedules:
            s.step()
        print(f"epoch {epoch + 1}/{epochs}  loss {loss:.3f}")
    print(f"accuracy: {score(net, x_test, y_test):.3f}")


if __name__ == "__main__":
    main()
