import torch, torch.nn as nn, torch.nn.functional as F


class AllConv(nn.Module):
    def __init__(s, k, w=12):
        super().__init__()
        s.a = nn.Conv2d(1, w, 5, stride=2, padding=2)
        s.b = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)
        s.c = nn.Conv2d(2 * w, 2 * w, 3, padding=1)
        s.d = nn.Conv2d(2 * w, k, 1)

    def forward(s, x):
        x = s.a(x)
        x = s.b(x)
        x = s.c(x)
        return s.d(x).mean((2, 3))


def rings(n, g):  # class: how tight the rings are; centre, sign and phase are random
    y = torch.randint(4, (n,), generator=g)
    c = 6 + 12 * torch.rand(n, 2, 1, 1, generator=g)
    u = torch.arange(24.0)
    r = ((u[None, :, None] - c[:, 0]) ** 2 + (u[None, None, :] - c[:, 1]) ** 2).sqrt()
    f = torch.tensor([0.5, 0.9, 1.4, 2.0])[y][:, None, None]
    x = torch.sin(f * r + 6.283 * torch.rand(n, 1, 1, generator=g)) + 0.5 * torch.randn(n, 24, 24, generator=g)
    return x[:, None] / 0.87, y


g = torch.Generator().manual_seed(17)
torch.manual_seed(17)
X, Y = rings(1500, g)
XV, YV = rings(400, g)
net = AllConv(4)
opt = torch.optim.Adam(net.parameters(), 4e-3)
for ep in range(8):
    net.train()
    for i in torch.randperm(len(X), generator=g).split(50):
        l = F.cross_entropy(net(X[i]), Y[i])
        opt.zero_grad()
        l.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        a = (net(XV).argmax(1) == YV).float().mean().item()
    print(ep, round(l.item(), 3), round(a, 3))
print(f"accuracy: {a:.3f}")
