"""Losses scaled by what is no share, classes chosen along another axis, rates that are gone: in programs that run."""

import math

import pytest

import tenfold
from tenfold.checks.script.falling import ends_at

START = """
import math
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(320, 1, 8, 8)
y = (x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2))).long()
x += (2 * y[:, None, None, None] - 1) * torch.linspace(1, -1, 8)[:, None]
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, {outputs}))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
"""
VOTES = """
votes = torch.nn.functional.one_hot(y, 2) * torch.randint(5, 9, (320, 1)) + torch.randint(0, 3, (320, 2))
for rows in torch.randperm(320).split(16):
    optimizer.zero_grad()
    F.cross_entropy(net(x[rows]), {targets}).backward()
    optimizer.step()
"""
WEIGHED = """
trust = torch.rand(320) + 0.5
for epoch in range(2):
    for rows in torch.randperm(320).split(16):
        each = F.cross_entropy(net(x[rows]), y[rows], reduction="none")
        loss = (trust[rows] / trust[rows].sum() * each).{reduced}()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
ASKED = """
answers = torch.stack([y, 1 - y], 1)
for epoch in range(2):
    for rows in torch.randperm(320).split(16):
        scores = net(x[rows]).view(-1, 2, 2)
        optimizer.zero_grad()
        F.cross_entropy({given}, answers[rows]{flat}).backward()
        optimizer.step()
with torch.no_grad():
    print((net(x).view(-1, 2, 2).argmax({axis}) == answers).float().mean().item())
"""
RESUMED = """
def train(epochs, state=None):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    if state is not None:
        optimizer.load_state_dict(state)
        {again}
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * 20, eta_min=1e-5)
    for epoch in range(epochs):
        for rows in torch.randperm(320).split(16):
            optimizer.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    return optimizer.state_dict()

train(4, train(2))
"""
COUNTED = """
loader = DataLoader(TensorDataset(x, y), batch_size=2, shuffle=True)
steps, done = 6 * len(loader) // 4, 0
for epoch in range(6):
    for number, (images, labels) in enumerate(loader, 1):
        (F.cross_entropy(net(images), labels) / 4).backward()
        {each}
        if number % 4 == 0:
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * (0.5 + 0.5 * math.cos(math.pi * min(1, done / steps)))
            optimizer.step()
            optimizer.zero_grad()
            {step}
"""
CASES = {
    "votes": (2, VOTES, {"targets": "votes[rows].float()"}, "initial-loss"),
    "shares of votes": (2, VOTES, {"targets": "votes[rows] / votes[rows].sum(1, keepdim=True)"}, None),
    "weights of sum 1, averaged": (2, WEIGHED, {"reduced": "mean"}, "loss-reduction"),
    "weights of sum 1, summed": (2, WEIGHED, {"reduced": "sum"}, None),
    "along the questions": (4, ASKED, {"given": "scores.transpose(1, 2)", "flat": "", "axis": 1}, "accuracy-axis"),
    "along the answers": (4, ASKED, {"given": "scores.transpose(1, 2)", "flat": "", "axis": 2}, None),
    "flat, along the questions": (
        4, ASKED, {"given": "scores.view(-1, 2)", "flat": ".flatten()", "axis": 1}, "accuracy-axis",
    ),
    "flat, along the answers": (4, ASKED, {"given": "scores.view(-1, 2)", "flat": ".flatten()", "axis": -1}, None),
    "a rate brought along": (2, RESUMED, {"again": "pass"}, "learning-rate-dropped-early"),
    "a rate set anew": (2, RESUMED, {"again": 'optimizer.param_groups[0]["lr"] = 0.05'}, None),
    "batches counted as steps": (2, COUNTED, {"each": "done += 1", "step": "pass"}, "learning-rate-dropped-early"),
    "steps counted": (2, COUNTED, {"each": "pass", "step": "done += 1"}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_scaled_chosen_or_gone(case, tmp_path):
    outputs, program, choice, rule = CASES[case]
    script = tmp_path / "train.py"
    script.write_text(START.format(outputs=outputs) + program.format(**choice), encoding="utf-8")
    found = [f.rule for f in tenfold.check(script, quiet=True).findings if f.severity != "note"]
    rules = {"initial-loss", "wrong-loss", "loss-reduction", "accuracy-axis", "learning-rate-dropped-early"}
    assert [one for one in found if one in rules] == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("rates", "end"),
    [
        ([1 - at / 100 for at in range(30)], 100),
        ([0.5 + 0.5 * math.cos(math.pi * at / 80) for at in range(40)], 80),
        ([0.1, 0.4, 0.7, *(1 - at / 100 for at in range(30))], 103),
        ([1.0] * 30, None),
        ([0.9**at for at in range(30)], None),
        ([1.0] * 10 + [0.1] * 20, None),
        ([], None),
    ],
)
def test_where_a_falling_rate_will_end(rates, end):
    assert ends_at(rates) == end
