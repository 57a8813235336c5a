import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class EMA:
    def __init__(self, model, decay=0.95):
        self.decay = decay
        self.shadow = copy.deepcopy(model).eval()
        for p in self.shadow.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.state_dict().values(), model.state_dict().values()):
            if s.dtype.is_floating_point:
                s.lerp_(p, 1 - self.decay)
            else:
                s.copy_(p)


def make(n):
    y = torch.randint(0, 5, (n,))
    x = torch.randn(n, 1, 15, 15)
    for k in range(5):
        x[y == k, :, 3 * k : 3 * k + 3] += 0.5
    return x, y


torch.manual_seed(0)
x, y = make(1600)
xt, yt = make(400)
net = nn.Sequential(
    nn.Conv2d(1, 16, 3, 2, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 16, 3, 2, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(144, 5),
)
ema = EMA(net)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(4):
    net.train()
    for idx in torch.randperm(1600).split(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
        ema.update(net)
    print(epoch, loss.item())
with torch.no_grad():
    acc = (ema.shadow(xt).argmax(1) == yt).float().mean().item()
print(f"accuracy: {acc:.4f}")
