"""No optimiser object: momentum SGD written by hand, and functional_call.

The net is fitted by mean squared error to one-hot labels (a regression that
classifies by its largest output).  With four classes and small outputs the
first loss is near 1/4, not ln 4.  Gradients come from torch.autograd.grad, so
no .grad is ever filled and nothing has to be zeroed.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

torch.manual_seed(60)
rng = np.random.default_rng(60)
SIDE, K = 16, 4


def corners(n):
    """An L-shaped corner, turned four ways."""
    y = rng.integers(0, K, n)
    base = rng.normal(0, 0.2, (n, SIDE, SIDE))
    for img, k in zip(base, y):
        shape = np.zeros((SIDE, SIDE))
        a, b = rng.integers(7, 12, 2)
        r, c = rng.integers(1, SIDE - 2 - a), rng.integers(1, SIDE - 2 - b)
        shape[r:r + a, c:c + 2] = 1
        shape[r:r + 2, c:c + b] = 1
        img += np.rot90(shape, k) * rng.uniform(0.7, 1.3)
    return torch.from_numpy(base.astype(np.float32)).unsqueeze(1), torch.from_numpy(y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.norm1 = nn.GroupNorm(1, 16)
        self.conv2 = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.norm2 = nn.GroupNorm(1, 24)
        self.out = nn.Linear(24 * 16, K)
        nn.init.zeros_(self.out.weight)  # start from "no opinion"; only hidden layers must break symmetry
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.out(x.flatten(1))


x, y = corners(1000)
xv, yv = corners(300)
mu, sigma = x.mean(), x.std()
x, xv = (x - mu) / sigma, (xv - mu) / sigma

net = Net()
weights = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
speed = {name: torch.zeros_like(p) for name, p in weights.items()}
rate, momentum, decay = 0.05, 0.9, 1e-4

for epoch in range(7):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(50):
        answer = functional_call(net, weights, (x[idx],))
        loss = F.mse_loss(answer, F.one_hot(y[idx], K).float())
        grads = torch.autograd.grad(loss, list(weights.values()))
        with torch.no_grad():
            for (name, w), g in zip(weights.items(), grads):
                if w.dim() > 1:
                    g = g + decay * w
                speed[name].mul_(momentum).add_(g)
                w.sub_(rate * speed[name])
        total += loss.item() * len(idx)
    print(f"epoch {epoch}: mean squared error {total / len(x):.4f}")

net.load_state_dict(weights)
net.eval()
with torch.no_grad():
    print(f"accuracy: {(net(xv).argmax(1) == yv).float().mean().item():.3f}")
