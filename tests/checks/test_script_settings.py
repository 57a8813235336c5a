"""Rules about optimisers' settings and losses of a script's own: each fires, and keeps silent on its twin."""

import pytest
import torch

import tenfold
from tenfold.checks.script.amounts import own_reduction
from tenfold.checks.script.optimisation import gradients_wasted
from tenfold.checks.script.output import squashed_twice
from tenfold.checks.script.seen import Held, Made, Place, Seen, Step
from tenfold.checks.script.settings import clipping_late, clipping_tight, eps, memory

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
        (
            {
                "after": "nn.utils.clip_grad_norm_(parameters=net.parameters(), max_norm=1.0)",
                "reduce": "sum()",
                "parts": 2,
            },
            [("clipping-late", 22), ("loss-reduction", 14)],
        ),
        (
            {"logs": "F.log_softmax(z.softmax(1), 1)", "before": CLIP, "when": "if step % 2: "},
            [("softmax-before-loss", 13), ("step-missing", 17)],
        ),
        ({"sign": ""}, [("wrong-loss", 14)]),
    ],
)
def test_settings(changes, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM.format(**{**HEALTHY, **changes}))
    report = tenfold.check("train.py", quiet=True)
    assert sorted((f.rule, f.line) for f in report.findings if f.severity != "note") == found


WEIGHT = torch.nn.Parameter(torch.ones(4))
SGD, ADAM = torch.optim.SGD, torch.optim.Adam


def told(rule, optimizer=None, ratio=1e-5, **facts) -> list[str]:
    """The rules of what is found of an optimiser of which these facts were seen."""
    held = Held(optimizer or SGD([WEIGHT], lr=0.1), Place("a.py", 3), steps=9, **facts)
    steps = [Step(number, held, 1.0, {"weight": ratio}, {"weight": 1.0}) for number in range(9)]
    return [f.rule for f in rule(Seen("a.py", helds=[held], steps=steps))]


def test_clipping_between_backward_and_step_is_of_use():
    at = Place("a.py", 5)
    assert told(clipping_late, clipped_late=9, clipped_at=at) == ["clipping-late"]
    assert told(clipping_late, clipped=9, clipped_late=9, clipped_at=at) == []
    assert told(clipping_late, clipped_late=2, clipped_at=at) == [], "once or twice, by hand"


def test_clipping_that_leaves_next_to_nothing():
    tight = {"clip_shares": [1e-5] * 9}
    assert told(clipping_tight, **tight) == ["learning-rate-low"]
    assert told(clipping_tight, ADAM([WEIGHT]), **tight) == [], "Adam's steps are as long whatever the scale"
    assert told(clipping_tight, clip_shares=[0.1] * 6 + [1e-5] * 3) == [], "single large gradients are what it is for"


@pytest.mark.parametrize(
    ("optimizer", "rules"),
    [
        (SGD([WEIGHT], lr=0.1, momentum=1.0), ["momentum-high"]),
        (SGD([WEIGHT], lr=0.1, momentum=0.999), ["momentum-high"]),
        (SGD([WEIGHT], lr=0.1, momentum=0.999, dampening=0.999), []),
        (SGD([WEIGHT], lr=0.1, momentum=0.99), []),
        (ADAM([WEIGHT], betas=(0.999, 0.9)), ["momentum-high"]),
        (ADAM([WEIGHT], betas=(0.5, 0.9)), []),
        (ADAM([WEIGHT], betas=(0.9, 0.9)), []),
    ],
)
def test_memories_of_optimisers(optimizer, rules):
    assert told(memory, optimizer) == rules


@pytest.mark.parametrize(
    ("size", "ratio", "rules"), [(1.0, 1e-5, ["learning-rate-low"]), (1e-8, 1e-5, []), (1, 1e-2, [])]
)
def test_eps_beside_which_gradients_vanish(size, ratio, rules):
    optimizer = ADAM([WEIGHT], lr=0.001, eps=size)
    WEIGHT.grad = torch.full((4,), 0.01)
    optimizer.step()
    assert told(eps, optimizer, ratio) == rules


def test_gradients_that_no_step_used():
    assert told(gradients_wasted, wasted=9) == ["step-missing"]
    assert told(gradients_wasted, wasted=9, closed=True) == []
    assert told(gradients_wasted, wasted=2) == []


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("softmax", ["softmax-before-loss"]),
        ("relu_", ["activation-on-logits"]),
        ("log_softmax", []),
        ("logsigmoid", []),
    ],
)
def test_what_a_log_softmax_takes_for_logits(name, rules):
    seen = Seen("a.py", squashed=(Made(name, None, ""), Place("a.py", 4), (0.0, 1.0)))
    assert [f.rule for f in squashed_twice(seen)] == rules


@pytest.mark.parametrize(("scale", "found"), [("sum", 1), ("mean", 1), (None, 0)])
def test_losses_of_ones_own_that_are_reduced_over_too_much(scale, found):
    seen = Seen("a.py", log_softmax=((30, 4), None), own_first=1.39)
    seen.own_scale = (scale, 30, Place("a.py", 4)) if scale else None
    assert [f.rule for f in own_reduction(seen)] == ["loss-reduction"] * found
