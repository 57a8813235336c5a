"""Rules about what reaches the loss, on facts made by hand: each fires, and keeps silent on its lookalike."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tenfold.checks import structure
from tenfold.checks.script.normalisation import input_ignored
from tenfold.checks.script.output import activation_on_logits, loss_reduction
from tenfold.checks.script.seen import Call, LossCall, Place, Seen
from tenfold.checks.trace import trace

LOSS = LossCall("cross_entropy", None, 0, True, (30, 4), (30,), "int64", 0, 3, True, 1.4, "mean", None, 0.0, 2.5,
                (1.0, 6.0), None, backward=True, went=1.4)  # fmt: skip


def told(rule, **changes) -> list[str]:
    """The rules of what is found where thirty losses were like LOSS, but for the changes."""
    seen = Seen("a.py", losses=[replace(LOSS, **changes) for _ in range(30)], last_line=Place("a.py", 7))
    return [f"{f.rule}:{f.line}" for f in rule(seen)]


def test_logits_that_are_never_negative():
    assert told(activation_on_logits) == ["activation-on-logits:7"]
    assert told(activation_on_logits, low=-0.01) == []
    assert told(activation_on_logits, shape=(30, 2)) == [], "two logits may both be positive"
    assert told(activation_on_logits, row_sum=(1.0, 1.0)) == [], "softmax, which has a rule of its own"


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"reduction": "sum", "value": 42.0, "went": 42.0}, ["loss-reduction:None"]),
        ({"reduction": "none", "went": 42.0}, ["loss-reduction:None"]),
        ({"went": 1.4 * 30}, ["loss-reduction:None"]),
        ({}, []),
        ({"reduction": "sum", "value": 42.0, "went": 1.4}, []),
        ({"reduction": "none"}, []),
        ({"went": 1.4 / 4}, []),
        ({"went": 40.0}, []),
    ],
)
def test_loss_that_is_summed_by_itself_or_afterwards(changes, rules):
    assert told(loss_reduction, **changes) == rules


@pytest.mark.parametrize(
    ("code", "levels", "found"),
    [("x = x // 255", 2, 1), ("x = (x / 255).astype(np.uint8)", 2, 1), ("x = x // 255", 200, 0), ("x = x > 128", 2, 0)],
)
def test_levels_lost_by_whole_numbers(code, levels, found, tmp_path):
    (tmp_path / "train.py").write_text(code + "\n")
    file = str(tmp_path / "train.py")
    images = (torch.arange(8 * 100).reshape(8, 1, 10, 10) % levels).float()
    call = Call(0, nn.Flatten(), None, 0, True, (), (), (8, 1, 10, 10), images=images, trained=True)
    told = list(input_ignored(Seen(file, [file], calls=[call])))
    assert [(f.rule, f.line) for f in told] == [("input-ignored", 1)] * found


@pytest.mark.parametrize(
    ("momentum", "severity"), [(0.0, ["error"]), (0.99, ["warning"]), (0.1, []), (0.4, []), (1.0, []), (None, [])]
)
def test_momentum_of_batch_norm(momentum, severity):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, momentum=momentum)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    found = list(structure.norm_momentum(trace(net, torch.randn(4, 1, 8, 8))))
    assert [f.severity for f in found] == severity
