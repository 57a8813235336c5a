"""Rules about optimisers' settings and losses of a script's own: each fires, and keeps silent on its twin."""

import pytest

import tenfold

PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
y = torch.arange(600) % 3
x = 0.5 * torch.randn(600, 1, 8, 8)
for i, k in enumerate(y.tolist()):
    x[i, :, 2 * k:2 * k + 2] += 1.5
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
optimizer = torch.optim.{optimizer}
def criterion(z, y):
    logs = {logs}
    return {sign}(F.one_hot(y, 3).float() * logs).{reduce}
for epoch in range(3):
    for step, at in enumerate(torch.randperm(600).split(30)):
        {clear}
        loss = criterion(net(x[at]), y[at])
        (loss / {parts}).backward()
        {before}
        {when}optimizer.step()
        {after}
"""
HEALTHY = {
    "optimizer": "Adam(net.parameters(), lr=0.003)",
    "logs": "F.log_softmax(z, 1)",
    "sign": "-",
    "reduce": "sum(1).mean()",
    "parts": 1,
    "clear": "optimizer.zero_grad()",
    "when": "",
    "before": "pass",
    "after": "pass",
}
CLIP = "nn.utils.clip_grad_norm_(net.parameters(), 1.0)"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"before": CLIP}, []),
        ({"after": CLIP}, [("clipping-late", 22)]),
        ({"before": CLIP, "after": CLIP}, []),
        ({"after": CLIP.replace("norm", "value")}, [("clipping-late", 22)]),
        ({"optimizer": "SGD(net.parameters(), lr=0.001, momentum=1.0)"}, [("momentum-high", 11)]),
        ({"optimizer": "Adam(net.parameters(), lr=0.003, betas=(0.999, 0.9))"}, [("momentum-high", 11)]),
        ({"optimizer": "Adam(net.parameters(), lr=0.003, betas=(0.5, 0.9))"}, []),
        ({"optimizer": "Adam(net.parameters(), lr=0.003, eps=100.0)"}, [("learning-rate-low", 11)]),
        ({"optimizer": "Adam(net.parameters(), lr=1.0, eps=10.0)"}, []),
        ({"logs": "F.log_softmax(z.softmax(1), 1)"}, [("softmax-before-loss", 13)]),
        ({"logs": "F.log_softmax(z.relu(), 1)"}, [("activation-on-logits", 13)]),
        ({"reduce": "sum()", "parts": 2}, [("loss-reduction", 14)]),
        ({"reduce": "mean()", "parts": 2}, [("loss-reduction", 14)]),
        ({"reduce": "sum()", "parts": 30}, []),
        ({"when": "if step % 2: ", "parts": 2}, [("step-missing", 17)]),
        ({"when": "if step % 2: ", "clear": "if step % 2 == 0: optimizer.zero_grad()", "parts": 2}, []),
        ({"sign": ""}, [("wrong-loss", 14)]),
    ],
)
def test_settings(changes, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM.format(**{**HEALTHY, **changes}))
    report = tenfold.check("train.py", quiet=True)
    assert [(f.rule, f.line) for f in report.findings if f.severity != "note"] == found
