"""The test images inside the validation part: loaders over one dataset, arrays without loaders, and healthy parts."""

import pytest

import tenfold
from tenfold.checks.script import parts

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset, TensorDataset
torch.manual_seed(0)
y = torch.arange(600) % 3
x = 0.5 * torch.randn(600, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
order = torch.randperm(600)
"""
LOADERS = """
data = TensorDataset(x, y)
train_loader = DataLoader(Subset(data, order[:300]), 30, shuffle=True)
val_set = Subset(data, order[{part}])
val_loader = DataLoader(val_set, 60)
test_loader = DataLoader(Subset(data, order[450:]), 60)
def accuracy(loader):
    with torch.no_grad():
        return sum((net(a).argmax(1) == b).sum().item() for a, b in loader) / len(loader.dataset)
for epoch in range(3):
    for a, b in train_loader:
        optimizer.zero_grad()
        F.cross_entropy(net(a), b).backward()
        optimizer.step()
    print(accuracy(val_loader))
print(accuracy(test_loader))
"""
ARRAYS = """
train, val, test = order[:300], order[{part}], order[450:]
for epoch in range(3):
    for at in train.split(30):
        optimizer.zero_grad()
        F.cross_entropy(net(x[at]), y[at]).backward()
        optimizer.step()
    with torch.no_grad():
        print((net(x[val]).argmax(1) == y[val]).float().mean())
with torch.no_grad():
    print((net(x[test]).argmax(1) == y[test]).float().mean())
"""


@pytest.mark.parametrize(
    ("code", "part", "line"),
    [(LOADERS, "300:", 17), (LOADERS, "300:450", None), (ARRAYS, "300:", 15), (ARRAYS, "300:450", None)],
)
def test_test_images_in_the_validation_part(code, part, line, tmp_path):
    (tmp_path / "program.py").write_text(HEAD + code.format(part=part), encoding="utf-8")
    found = [f for f in tenfold.check(tmp_path / "program.py").findings if f.severity != "note"]
    assert [(f.rule, f.line) for f in found] == ([("selected-on-test", line)] if part == "300:" else [])


def test_what_a_name_means():
    for name in ("val_loader", "x_val", "Xval", "validation", "dev_set"):
        assert parts.kind(name) is parts.VALIDATION
    for name in ("test_loader", "x_test", "Xtest", "testing"):
        assert parts.kind(name) is parts.TEST
    for name in ("evaluate(net, x)", "values", "latest", "interval", "device", "train_val", "val_and_test", "loader"):
        assert parts.kind(name) is None
