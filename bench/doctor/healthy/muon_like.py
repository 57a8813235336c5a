import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def newton_schulz(g, steps=5):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.flatten(1) / (g.norm() + 1e-7)
    flip = x.size(0) > x.size(1)
    if flip:
        x = x.T
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return (x.T if flip else x).view_as(g)


class Orthogonal(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, momentum=0.9):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buf = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buf.mul_(group["momentum"]).add_(p.grad)
                update = newton_schulz(buf) if p.ndim > 1 else buf
                p.add_(update, alpha=-group["lr"])


torch.manual_seed(0)
c = torch.randn(6, 1, 14, 14)
y = torch.randint(0, 6, (1800,))
x = c[y] * 0.4 + torch.randn(1800, 1, 14, 14)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False),
    nn.BatchNorm2d(16),
    nn.GELU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 24, 3, bias=False),
    nn.BatchNorm2d(24),
    nn.GELU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(96, 6),
)
opt = Orthogonal(net.parameters(), lr=0.02)
for epoch in range(4):
    net.train()
    for xb, yb in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
    print("epoch", epoch, loss.item())
net.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1400:]).argmax(1) == y[1400:]).float().mean().item())
