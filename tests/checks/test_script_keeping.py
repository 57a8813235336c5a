"""Weights that are kept and loaded again: the worst epoch's, those of no net, and healthy ways to keep the best."""

import pytest

import tenfold
from tenfold.checks.script.keeping import worst_kept
from tenfold.checks.script.seen import Seen

PROGRAM = """
import tempfile
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
y = torch.arange(500) % 3
x = 0.5 * torch.randn(500, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
def make():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
net, file = make(), tempfile.NamedTemporaryFile().name
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
best = {best}
for epoch in range(3):
    for at in torch.randperm(300).split(30):
        optimizer.zero_grad()
        F.cross_entropy(net(x[at]), y[at]).backward()
        optimizer.step()
    with torch.no_grad():
        val_loss = F.cross_entropy(net(x[300:400]), y[300:400]).item()
    if {keep}:
        best = val_loss
        torch.save({{"model": net.state_dict(), "epoch": epoch}}, file)
{load}
with torch.no_grad():
    print((net(x[400:]).argmax(1) == y[400:]).float().mean())
"""
HEALTHY = {
    "best": "float('inf')",
    "keep": "val_loss < best",
    "load": "net.load_state_dict(torch.load(file)['model'])",
}


@pytest.mark.parametrize(
    ("changes", "rule", "line"),
    [
        ({}, None, None),
        ({"load": "net = make(); net.load_state_dict(torch.load(file)['model'])"}, None, None),
        ({"best": "-1.0", "keep": "val_loss > best"}, "weights-not-kept", 23),
        ({"load": "net.load_state_dict(torch.load(file), strict=False)"}, "weights-not-kept", 26),
        ({"load": "net = make()"}, "judged-net-differs", 28),
    ],
)
def test_weights_of_the_best_epoch(changes, rule, line, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.format_map(HEALTHY | changes), encoding="utf-8")
    found = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    assert [(f.rule, f.line) for f in found] == ([(rule, line)] if rule else [])


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("if acc > best:\n    best, waited = acc, 0", []),
        ("if acc < best:\n    best, waited = acc, 0", [1]),
        ("if best < loss:\n    best = loss", [1]),
        ("if loss >= best:\n    waited += 1\nelse:\n    best = loss", []),
        ("if loss <= best:\n    waited += 1\nelse:\n    best = loss", [1]),
        ("if score < self.best + self.delta:\n    pass\nelse:\n    self.best = score", []),
        ("if loss > worst_loss:\n    worst_loss = loss", []),
        ("if value < best:\n    best = value", []),  # nobody knows what it is
        ("if loss > best:\n    other = loss", []),
        ("if loss == best:\n    best = loss", []),
        ("if loss > last_loss:\n    waited += 1\n    last_loss = loss", []),
    ],
)
def test_which_comparison_keeps_the_worst(code, lines, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(code, encoding="utf-8")
    assert [f.line for f in worst_kept(Seen(str(file), [str(file)]))] == lines
