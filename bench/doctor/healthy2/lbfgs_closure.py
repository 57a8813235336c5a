# A tiny tanh LeNet fitted by full-batch L-BFGS.
# The closure is called several times by each step: it clears the gradients,
# runs the forward and backward passes and returns the loss.  A full-batch
# method has no order of samples, so nothing is shuffled.
import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
gen = np.random.default_rng(1)
S = 16


def sample(n):
    """Three kinds of curve: a line, a parabola, a sine."""
    label = gen.integers(0, 3, n)
    t = np.linspace(-1, 1, S, dtype=np.float32)
    out = np.zeros((n, 1, S, S), np.float32)
    rows = np.arange(S, dtype=np.float32)[:, None]
    for i, k in enumerate(label):
        a = gen.uniform(0.5, 0.9) * gen.choice([-1, 1])
        if k == 0:
            h = a * t
        elif k == 1:
            h = a * (2 * t ** 2 - 1)
        else:
            h = a * np.sin(gen.uniform(5.5, 7.5) * t + gen.uniform(-0.4, 0.4))
        centre = (S - 1) / 2 + h * (S / 2 - 2) + gen.uniform(-1, 1)
        out[i, 0] = np.exp(-((rows - centre[None, :]) ** 2) / 1.5)
    out += gen.normal(0, 0.1, out.shape).astype(np.float32)
    return torch.from_numpy(out), torch.from_numpy(label)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 12, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(12 * 4 * 4, 24), nn.Tanh(),
        )
        self.out = nn.Linear(24, 3)
        for m in self.body:
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_normal_(m.weight)  # fits tanh
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.out(self.body(x))


x, y = sample(500)
xv, yv = sample(300)
m, s = x.mean(), x.std()
x, xv = (x - m) / s, (xv - m) / s

model = Tiny()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=8, history_size=10, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = criterion(model(x), y) + 1e-3 * sum(p.pow(2).sum() for p in model.parameters() if p.dim() > 1)
    loss.backward()
    return loss


for step in range(8):
    model.train()
    loss = optimizer.step(closure)  # the loss before this step
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(dim=1) == yv).float().mean().item()
    print(f"step {step}: loss {loss.item():.3f}  validation {acc:.3f}")

print(f"accuracy: {acc:.3f}")
