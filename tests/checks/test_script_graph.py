"""Losses and layers out of the graph, the lowest score, bytes that wrap round, and mixed images with two losses."""

import pytest

import tenfold
from tenfold.checks.script.schedule import in_line

PROGRAM = """
import random
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
random.seed(0)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.more = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(128, 3)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        y = F.relu(self.more(x))
        return self.head({read}.flatten(1))

y = torch.arange(900) % 3
x = 0.5 * torch.randn(900, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
x = {bytes}
loader = DataLoader(TensorDataset(x[:700], y[:700]), 25, shuffle=True)
val_loader = DataLoader(TensorDataset(x[700:], y[700:]), 100)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
for epoch in range(4):
    for a, b in loader:
        order, lam = torch.randperm(len(a)), {share}
        z = net(lam * a + (1 - lam) * a[order])
        optimizer.zero_grad()
        loss = lam * F.cross_entropy({logits}, b{first}) + (1 - lam) * F.cross_entropy(z, b{second})
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        {judge}
"""
COUNTED = "print(sum((net(a).{}(1) == b).sum().item() for a, b in val_loader) / 200)"
ROWS = """for a, b in val_loader:
            hit = net(a).topk(2, 1).indices.eq(b[:, None].expand(-1, 2))
            print(hit[{}1].sum() / len(b))"""
HEALTHY = {
    "bytes": "x",
    "read": "y",
    "share": "1.0",
    "logits": "z",
    "first": "",
    "second": "",
    "judge": COUNTED.format("argmax"),
}
MIXED = {"share": "random.betavariate(1, 1)", "second": "[order]"}
BYTES = "((x * 30 + 100).clamp(0, 255).byte(){} - 100) / 30"
DETACHED = {"logits": "z.detach().requires_grad_()", "share": "1"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        (MIXED, []),
        ({**MIXED, "first": "[order]", "second": ""}, [("wrong-labels", "loss = lam")]),
        (DETACHED, [("graph-broken", "loss = lam")]),
        ({"read": "x"}, [("graph-broken", "y = F.relu")]),
        ({"bytes": BYTES.format("")}, [("normalisation-missing", "x = ((x")]),
        ({"bytes": BYTES.format(".float()")}, []),
        ({"logits": "-z", "share": "1", "judge": COUNTED.format("argmin")}, []),
        ({"judge": COUNTED.format("argmin")}, [("accuracy-count", "argmin")]),
        ({"judge": ROWS.format(":")}, [("accuracy-axis", "hit[:1]")]),
        ({"judge": ROWS.format(":, :")}, []),
    ],
    ids=[
        "healthy",
        "mixed",
        "mixed the other way",
        "detached",
        "a layer unread",
        "bytes",
        "floats",
        "distances",
        "the lowest score",
        "the first rows",
        "the best class",
    ],
)
def test_what_is_found_at_its_line(change, found, tmp_path):
    code = PROGRAM.format(**{**HEALTHY, **change})
    if change.get("share") == "1":
        code = code.replace(" + (1 - lam) * F.cross_entropy(z, b)", "")
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    seen = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    assert [f.rule for f in seen[:1]] == [rule for rule, _ in found]
    assert all(part in code.splitlines()[f.line - 1] for f, (_, part) in zip(seen, found, strict=False))


FLIPPED = """
import numpy as np
import torch
from torch import nn
rng = np.random.default_rng(0)
torch.manual_seed(0)

def draw(n):
    y = np.arange(n) % 3
    x = rng.normal(0, 0.3, (n, 1, 12, 12)).astype(np.float32)
    for i, k in enumerate(y):
        x[i, 0, (1, 8, 4)[k]:(4, 11, 8)[k], 2:10] += 1.5
    return x, y

(x, y), (val_x, val_y) = draw(900), draw(250)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(800, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)

def accuracy(x, y):
    with torch.no_grad():
        told = np.concatenate([net(torch.from_numpy(x[i:i + 120])).argmax(1).numpy() for i in range(0, len(x), 120)])
    return (told == y).mean()

for epoch in range(3):
    order = rng.permutation(len(x))
    for i in range(0, len(x), 30):
        a = x[order[i:i + 30]].copy()
        some = rng.random(len(a)) < 0.5
        a[some] = np.flip(a[some], axis={axis})
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(a)), torch.from_numpy(y[order[i:i + 30]])).backward()
        optimizer.step()
    print(accuracy(val_x, val_y))
"""


@pytest.mark.parametrize("axis", [2, 3])
def test_a_flip_of_an_axis_by_name_where_predictions_go_on_in_parts(axis, tmp_path):
    code = FLIPPED.format(axis=axis)
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    seen = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    wrong = next(i for i, text in enumerate(code.splitlines(), 1) if "np.flip(" in text)
    assert [(f.rule, f.line) for f in seen] == ([("augmentation-breaks-labels", wrong)] if axis == 2 else [])


def test_rates_that_go_on_falling_evenly_count_after_the_watched_steps():
    falling = [1 - i / 30 for i in range(31)] + [0.0] * 5
    assert in_line(falling, 30) == 31
    assert in_line([1.0] * 30 + [0.1] * 5, 30) == 30
    assert in_line(falling, None) == len(falling)


OWN_LAYERS = """
import torch
from torch import nn
torch.manual_seed(0)

class Dense(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) * {deviation})
        self.bias = nn.Parameter(torch.zeros(after))
    def forward(self, x):
        return nn.functional.linear(x, self.weight, self.bias)

y = torch.arange(300) % 3
x = 0.5 * torch.randn(300, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
sizes = (64, 96, 96, 96, 96)
hidden = [layer for a, b in zip(sizes, sizes[1:]) for layer in (Dense(a, b), nn.ReLU())]
net = nn.Sequential(nn.Flatten(), *hidden, Dense(96, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for epoch in range(5):
    for part in torch.randperm(300).split(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[part]), y[part]).backward()
        optimizer.step()
"""


@pytest.mark.parametrize("deviation", ["2 / before", "(2 / before) ** 0.5"])
def test_layers_of_ones_own_that_begin_with_the_variance_as_deviation(deviation, tmp_path):
    code = OWN_LAYERS.format(deviation=deviation)
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    seen = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    start = next(i for i, text in enumerate(code.splitlines(), 1) if "self.weight =" in text)
    expected = [("bad-initialisation", start)] if deviation == "2 / before" else []
    assert [(f.rule, f.line) for f in seen] == expected
