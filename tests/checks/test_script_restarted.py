"""Nets, optimisers and schedules that begin anew or run twice, one batch for all, crashes of datasets and outputs."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
y = torch.multinomial(torch.ones(3), 600, replacement=True)
x = 0.5 * torch.randn(600, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
data = TensorDataset(x, y)
def make():
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
{setup}
loader = DataLoader(data, 50, shuffle={shuffle})
for {epoch} in range(3):
    {first}
    for i, (a, b) in enumerate(loader):
        {batch}
        optimizer.zero_grad()
        loss = F.cross_entropy({output}, {labels})
        loss.backward()
        optimizer.step()
    {last}
"""
HEALTHY = {
    "setup": "net = make()\noptimizer = torch.optim.Adam(net.parameters(), 3e-3)",
    "shuffle": "True",
    "epoch": "epoch",
    "first": "pass",
    "batch": "pass",
    "output": "net(a)",
    "labels": "b",
    "last": "pass",
}
FRESH = "net = make()\n    optimizer = torch.optim.Adam(net.parameters(), 3e-3)"
TWO = (
    "net = make()\nbody = torch.optim.Adam(net[:1].parameters(), 3e-3)\n"
    "optimizer = torch.optim.Adam(net[1:].parameters(), 3e-3)"
)
TRIED = (
    HEALTHY["setup"] + "\nfew = DataLoader(data, 50)\nfor _ in range(40):\n    a, b = next(iter(few))\n"
    "    optimizer.zero_grad()\n    F.cross_entropy(net(a), b).backward()\n    optimizer.step()\n"
    "def all_of_them():\n    for a, b in few:\n        F.cross_entropy(net(a), b).backward()"
)
COSINE = HEALTHY["setup"] + "\nschedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)"
DATASET = (
    HEALTHY["setup"] + "\nclass Photos(torch.utils.data.Dataset):\n    def __len__(self):\n        return {length}\n"
    "    def __getitem__(self, i):\n        return {image}, {label}\ndata = Photos()"
)


def photos(length: int = 600, image: str = "x[i]", label: str = "y[i]") -> dict[str, str]:
    return {"setup": DATASET.format(length=length, image=image, label=label)}


@pytest.mark.parametrize(
    ("changes", "rule", "line"),
    [
        ({}, None, None),
        ({"first": FRESH}, "training-restarted", 18),
        ({"first": FRESH, "epoch": "fold"}, None, None),
        ({"batch": "optimizer = torch.optim.Adam(net.parameters(), 3e-3)"}, "training-restarted", 20),
        ({"setup": TWO}, "step-missing", 15),
        ({"setup": TWO, "batch": "body.step(); body.zero_grad()"}, None, None),
        ({"setup": TWO, "last": "later = [body]"}, None, None),  # handed on: nobody knows
        ({"setup": COSINE, "last": "schedule.step()"}, None, None),
        ({"setup": COSINE, "last": "schedule.step()\n    schedule.step()"}, "scheduler-per-batch", 26),
        ({"shuffle": "False", "batch": "a, b = next(iter(loader))"}, "shuffle-off", 22),
        ({"batch": "a, b = next(iter(loader))"}, None, None),
        ({"setup": TRIED}, None, None),
        (photos(image="x[i, :, :8 - i % 2]"), "shape-mismatch", 25),
        (photos(image="object()"), "dtype-mismatch", 25),
        (photos(length=700), "crash", 20),
        (photos(label="'cat'"), "wrong-labels-shape", 28),
        ({"output": "(lambda a: None)(net(a))"}, "crash", 22),
        ({"output": "(net(a), 1)"}, "crash", 22),
    ],
)
def test_what_is_told(changes, rule, line, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.format_map(HEALTHY | changes), encoding="utf-8")
    found = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    assert [(f.rule, f.line) for f in found] == ([(rule, line)] if rule else [])
    assert all("Mend this line first" not in f.remedy for f in found)
