# One trunk, two heads (shape and colour), two optimisers.
# The trunk learns by SGD with momentum, the heads by Adam.  One backward pass
# of the summed losses feeds both, and the first loss is near ln 3 + ln 4 = 2.48.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

HUES = np.array([[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.25, 0.35, 0.95], [0.85, 0.8, 0.2]])


def things(n, seed, s=18):
    rng = np.random.default_rng(seed)
    shape, hue = rng.integers(0, 3, n), rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:s, 0:s]
    cx, cy = rng.uniform(7, 10, (2, n, 1, 1))
    r = rng.uniform(4, 6, (n, 1, 1))
    dx, dy = xx - cx, yy - cy
    inside = [np.hypot(dx, dy) < r, (abs(dx) < r * 0.9) & (abs(dy) < r * 0.9), (dy < r * 0.8) & (dy > 2 * abs(dx) - r)]
    mask = np.choose(shape.reshape(n, 1, 1), inside)[:, None]
    ink = (HUES[hue] + rng.normal(0, 0.08, (n, 3)))[:, :, None, None]
    paper = rng.uniform(0, 0.35, (n, 3, 1, 1))
    x = np.where(mask, ink, paper) + rng.normal(0, 0.06, (n, 3, s, s))
    x = (x - 0.35) / 0.27  # the same fixed constants for both splits
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(shape), torch.tensor(hue))


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x):
        x = F.relu(self.bn1(self.stem(x)))
        return F.relu(self.bn2(self.conv(x))).flatten(1)


torch.manual_seed(19)
trunk = Trunk()
heads = nn.ModuleDict({"shape": nn.Linear(32 * 25, 3), "colour": nn.Linear(32 * 25, 4)})
slow = torch.optim.SGD(trunk.parameters(), lr=0.02, momentum=0.9)
fast = torch.optim.Adam(heads.parameters(), lr=1e-3)
loader = DataLoader(things(1200, seed=1), batch_size=40, shuffle=True)

for epoch in range(6):
    trunk.train()
    heads.train()
    sums = np.zeros(2)
    for x, shape, colour in loader:
        slow.zero_grad()
        fast.zero_grad()
        z = trunk(x)
        loss_shape = F.cross_entropy(heads["shape"](z), shape)
        loss_colour = F.cross_entropy(heads["colour"](z), colour)
        (loss_shape + loss_colour).backward()
        slow.step()
        fast.step()
        sums += loss_shape.item(), loss_colour.item()
    print("epoch", epoch, "losses: shape %.3f, colour %.3f" % tuple(sums / len(loader)))

trunk.eval()
heads.eval()
x, shape, colour = things(400, seed=2).tensors
with torch.no_grad():
    z = trunk(x)
    shape_ok = heads["shape"](z).argmax(1) == shape
    colour_ok = heads["colour"](z).argmax(1) == colour
print(f"shape {shape_ok.float().mean():.3f}, colour {colour_ok.float().mean():.3f}")
print(f"accuracy: {(shape_ok & colour_ok).float().mean().item():.3f}")  # both right; chance is 1/12
