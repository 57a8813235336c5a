"""Losses and layers out of the graph, the lowest score, bytes that wrap round, and mixed images with two losses."""

import pytest

import tenfold

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
        print(sum((net(a).{choose}(1) == b).sum().item() for a, b in val_loader) / 200)
"""
HEALTHY = {"bytes": "x", "read": "y", "share": "1.0", "logits": "z", "first": "", "second": "", "choose": "argmax"}
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
        ({"logits": "-z", "share": "1", "choose": "argmin"}, []),
        ({"choose": "argmin"}, [("accuracy-count", "argmin")]),
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
