"""Protein crystallisation: outcome of each drop on a 96-well plate.

The robot stage starts at A1 and drives snake-wise: row A from left to right, row B from right to left, and so on.
A plate file holds the 96 pictures as they were taken, and the technician's sheet (8 x 12, as the plate lies).
"""
import copy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

OUTCOME = {0: "clear", 1: "precipitate", 2: "crystals", 3: "needles"}
SIDE = 26


class Robot:
    """Simulated plates; a real one would read the imager's files."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.yy, self.xx = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + .5

    def drop(self, outcome):
        r, (cy, cx) = self.rng, self.rng.uniform(-2, 2, 2)
        y, x = self.yy - cy, self.xx - cx
        radius = r.uniform(9, 11)
        inside = (np.hypot(y, x) < radius).astype(float)
        pic = 125 + r.uniform(-20, 20) + 22 * inside - 40 * np.exp(-(np.hypot(y, x) - radius) ** 2 / 1.5)
        if outcome == 1:
            pic -= inside * np.abs(gaussian_filter(r.normal(0, 1, pic.shape), .7)) * r.uniform(30, 70)
        for _ in range(r.integers(2, 5) if outcome >= 2 else 0):
            py, px, a = *r.uniform(-5, 5, 2), r.uniform(0, np.pi)
            u = (x - px) * np.cos(a) + (y - py) * np.sin(a)
            v = (y - py) * np.cos(a) - (x - px) * np.sin(a)
            long, wide = (r.uniform(1.6, 2.6), r.uniform(1.3, 2)) if outcome == 2 else (r.uniform(4, 6), .7)
            pic += inside * r.uniform(18, 40) * ((np.abs(u) < long) & (np.abs(v) < wide))
        pic += r.normal(0, 9, pic.shape) + r.uniform(-1, 1) * self.xx
        return np.clip(gaussian_filter(pic, .5), 0, 255).astype(np.uint8)

    def image_plate(self):
        sheet = self.rng.integers(len(OUTCOME), size=(8, 12))
        taken = []
        for row in range(8):
            columns = range(12) if row % 2 == 0 else range(11, -1, -1)
            taken += [self.drop(sheet[row, c]) for c in columns]
        return np.stack(taken), sheet


def read_plates(robot, count):
    pictures, outcomes = [], []
    for _ in range(count):
        taken, sheet = robot.image_plate()
        sheet[1::2] = sheet[1::2, ::-1].copy()
        pictures.append(taken)
        outcomes.append(sheet.reshape(-1))
    return (torch.from_numpy(np.concatenate(pictures)).float().unsqueeze(1) / 255,
            torch.from_numpy(np.concatenate(outcomes)).long())


class Standardise(nn.Module):
    def __init__(self, pictures):
        super().__init__()
        self.register_buffer("mean", pictures.mean())
        self.register_buffer("std", pictures.std())

    def forward(self, x):
        return (x - self.mean) / self.std


class DropNet(nn.Module):
    def __init__(self, standardise, widths=(16, 32, 48), drop=.3):
        super().__init__()
        self.standardise = standardise
        stages, before = [], 1
        for w in widths:
            stages += [nn.Conv2d(before, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.SiLU(), nn.AvgPool2d(2)]
            before = w
        self.body = nn.Sequential(*stages)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(before * (SIDE // 8) ** 2, len(OUTCOME))

    def forward(self, x):
        return self.out(self.drop(self.body(self.standardise(x)).flatten(1)))


def dihedral(x):
    """A drop has no top: any of the eight turns and mirrors, drawn for the batch."""
    x = torch.rot90(x, int(torch.randint(4, ())), (2, 3))
    return x.flip(3) if torch.rand(()) < .5 else x


@torch.no_grad()
def confusion(net, x, y):
    net.eval()
    guess = torch.cat([net(part).argmax(1) for part in x.split(128)])
    return torch.bincount(y * len(OUTCOME) + guess, minlength=len(OUTCOME) ** 2).view(len(OUTCOME), -1)


def fit(net, train, val, epochs=12, batch=48, lr=3e-3):
    x, y = train
    opt = torch.optim.AdamW(net.parameters(), lr, weight_decay=5e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    kept, kept_score = None, -1.
    for epoch in range(epochs):
        net.train()
        for pick in torch.randperm(len(x)).split(batch):
            loss = nn.functional.cross_entropy(net(dihedral(x[pick])), y[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
        sched.step()
        table = confusion(net, *val)
        score = (table.diagonal().sum() / table.sum()).item()
        print(f"{epoch + 1:3d}  loss {loss.item():.3f}  val {score:.3f}")
        if score > kept_score:
            kept, kept_score = copy.deepcopy(net.state_dict()), score
    net.load_state_dict(kept)


torch.set_num_threads(1)
torch.manual_seed(0)
robot = Robot(seed=17)
train, val, test = read_plates(robot, 14), read_plates(robot, 3), read_plates(robot, 5)
net = DropNet(Standardise(train[0]))
fit(net, train, val)
table = confusion(net, *test)
for k, name in OUTCOME.items():
    print(f"{name:>12}: " + " ".join(f"{v:4d}" for v in table[k].tolist()))
print(f"accuracy on the test plates: {(table.diagonal().sum() / table.sum()).item():.4f}")
