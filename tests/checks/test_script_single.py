"""Programs with one output for two classes: each rule fires, and keeps silent on the healthy one."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
y = (torch.arange(900) % 3 == 0).float()
x = 0.5 * torch.randn(900, 1, 8, 8)
x[y == 1, :, 2:4] += 1.5
order = torch.randperm(900)
x, y = x[order], {labels}
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 1){last})
optimizer = torch.optim.Adam({groups}, lr=0.003)
criterion = nn.BCEWithLogitsLoss({weight})
for epoch in range(3):
    net.train()
    for at in torch.randperm(600).split(30):
        optimizer.zero_grad()
        z = net(x[at])
        loss = {loss}
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        z = net(x[600:])
        guess = {guess}
        print((guess == y[600:]).float().mean())
"""
HEALTHY = {
    "labels": "y[order]",
    "last": "",
    "groups": "net.parameters()",
    "weight": "pos_weight=torch.tensor(2.0)",
    "loss": "criterion(z.squeeze(1), y[at])",
    "guess": "(torch.sigmoid(z.squeeze(1)) > 0.5).float()",
}
OWN = "torch.sigmoid({}).clamp(1e-6, 1 - 1e-6)"


@pytest.mark.parametrize(
    ("changes", "rule", "line"),
    [
        ({}, None, None),
        ({"guess": "(z.squeeze(1) > 0).float()"}, None, None),
        ({"loss": "criterion(z.squeeze(1), y[at]) + F.mse_loss(z.sigmoid().mean(), y.mean())"}, None, None),
        ({"loss": "criterion(z.squeeze(1), y[at]) + criterion(z.mean(), y[at].mean())"}, None, None),
        pytest.param({"guess": "torch.sigmoid(z.squeeze(1)).round()"}, None, None, marks=pytest.mark.slow),
        ({"guess": "(z.squeeze(1) > 0.5).float()"}, "accuracy-count", 25),
        pytest.param({"guess": "z.squeeze(1).round()"}, "accuracy-count", 25, marks=pytest.mark.slow),
        ({"guess": "z.argmax(1).float()"}, "accuracy-axis", 25),
        ({"last": ", nn.Softmax(dim=1)", "loss": "F.binary_cross_entropy(z.squeeze(1), y[at])"},
         "softmax-before-loss", 11),
        ({"loss": "-(y[at] * {0}.log() + (1 - y[at]) * (1 - {0}).log()).mean()".format(OWN.format("z"))},
         "wrong-labels-shape", 19),
        ({"loss": "-(y[at] * {0}.log() + (1 - y[at]) * (1 - {0}).log()).mean()".format(OWN.format("z.squeeze(1)"))},
         None, None),
        ({"weight": "pos_weight=torch.tensor(0.0003)"}, "class-imbalance", 13),
        ({"labels": "0 * y", "weight": ""}, "class-missing", None),
        pytest.param({"labels": "torch.cat([y[order][:600].flip(0), y[order][600:]])"}, "wrong-labels", None,
                     marks=pytest.mark.slow),
        ({"groups": "[{'params': net[0].parameters(), 'lr': 0.0}, {'params': net[3].parameters()}]"},
         "parameters-frozen", 12),
    ],
)  # fmt: skip
def test_one_output_for_two_classes(changes, rule, line, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.format_map(HEALTHY | changes), encoding="utf-8")
    report = tenfold.check(tmp_path / "program.py")
    found = [one for one in report.findings if one.severity != "note"]
    assert [one.rule for one in found][:1] == ([rule] if rule else [])
    if line:
        assert found[0].line == line
