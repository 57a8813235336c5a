"""Rules about what reaches the loss, on facts made by hand: each fires, and keeps silent on its lookalike."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tenfold.checks.script.amounts import initial_loss, loss_reduction, own_reduction
from tenfold.checks.script.normalisation import input_ignored
from tenfold.checks.script.output import activation_on_logits, turned_round, wrong_loss
from tenfold.checks.script.seen import Call, Held, LossCall, Place, Seen
from tenfold.checks.structure import layers
from tenfold.checks.trace import trace

LOSS = LossCall("cross_entropy", None, 0, True, (30, 4), (30,), "int64", 0, 3, True, 1.4, "mean", None, 0.0, 2.5,
                (1.0, 6.0), None, backward=True, went=1.4)  # fmt: skip


HEAD = Call(0, nn.Identity(), None, 0, True, (), (), (30, 8), output=(30, 4), trained=True)

EACH = {"kind": "mse_loss", "reduction": "none", "shape": (30, 1, 5, 6)}
"""A loss for each pixel."""


def told(rule, **changes) -> list[str]:
    """The rules of what is found where thirty losses were like LOSS, but for the changes."""
    seen = Seen("a.py", losses=[replace(LOSS, **changes) for _ in range(30)], last_line=Place("a.py", 7))
    return [f"{f.rule}:{f.line}" for f in rule(seen)]


def test_logits_that_are_never_negative():
    call = replace(HEAD, lowest=-0.5)
    assert told(activation_on_logits, call=call) == ["activation-on-logits:7"]
    assert told(activation_on_logits, call=call, low=-0.01) == []
    assert told(activation_on_logits, call=replace(call, output=(30, 8))) == [], "features, compared with others"
    two = replace(call, output=(30, 2))
    assert told(activation_on_logits, call=two, shape=(30, 2)) == [], "two logits may both be positive"
    assert told(activation_on_logits, call=call, row_sum=(1.0, 1.0)) == [], "softmax, which has a rule of its own"


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"reduction": "sum", "value": 42.0, "went": 42.0}, ["loss-reduction:None"]),
        ({"reduction": "none", "went": 42.0}, ["loss-reduction:None"]),
        ({"went": 1.4 * 30}, ["loss-reduction:None"]),
        ({}, []),
        ({"reduction": "sum", "value": 42.0, "went": 1.4}, []),
        ({"reduction": "none"}, []),
        ({"reduction": "none", "went": 1.4 * 26.3}, ["loss-reduction:None"]),  # weights of images, and a sum
        ({"reduction": "none", "went": 1.4 * 0.9}, []),
        ({"went": 1.4 / 4}, []),
        ({"went": 40.0}, []),
        ({**EACH, "went": 1.4 * 30}, []),  # the sum over 30 pixels, and the mean over 30 images
        ({**EACH, "went": 1.4 * 30 * 30}, ["loss-reduction:None"]),
        ({**EACH, "shape": (30, 8), "went": 1.4 * 30}, ["loss-reduction:None"]),
    ],
)
def test_loss_that_is_summed_by_itself_or_afterwards(changes, rules):
    assert told(loss_reduction, **changes) == rules


NUMBERS = {"kind": "mse_loss", "shape": (30, 1), "target_shape": (30, 1), "distinct": 4, "target_rows": (0.0, 3.0)}
"""Whole numbers that are approached, one an image."""
CORNERS = {**NUMBERS, "shape": (30, 4), "target_shape": (30, 4)}
"""The same, four an image."""


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        (NUMBERS, ["warning"]),
        ({**NUMBERS, "target_high": 90.0}, ["note"]),  # an age, say
        ({**CORNERS, "target_rows": (20.0, 80.0)}, []),
        ({**CORNERS, "target_rows": (1.0, 1.0), "target_high": 1, "distinct": 2}, ["warning"]),
    ],
)
def test_numbers_that_are_approached(changes, severity):
    seen = Seen("a.py", losses=[replace(LOSS, **changes)])
    assert [f.severity for f in wrong_loss(seen)] == severity


def test_margin_makes_the_first_loss_high():
    assert told(initial_loss, value=24.0, call=HEAD) == ["initial-loss:None"]
    assert told(initial_loss, value=24.0, call=replace(HEAD, told=True)) == []


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
    ("momentum", "severity"),
    [
        (0.0, ["error"]),
        (0.0005, ["warning"]),
        (0.01, []),
        (0.1, []),
        (0.4, []),
        (0.99, ["note"]),
        (1.0, []),
        (None, []),
    ],
)
def test_momentum_of_batch_norm(momentum, severity):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, momentum=momentum)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), norm, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    found = list(layers.norm_momentum(trace(net, torch.randn(4, 1, 8, 8))))
    assert [f.severity for f in found] == severity


@pytest.mark.parametrize(
    ("went", "maximize", "rules"),
    [(-1.4, False, ["wrong-loss:None"]), (1.4, True, ["wrong-loss:3"]), (1.4, False, []), (-1.4, True, [])],
)
def test_loss_that_is_made_larger(went, maximize, rules):
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, maximize=maximize)
    held = Held(optimizer, Place("a.py", 3), steps=30)
    seen = Seen("a.py", losses=[replace(LOSS, went=went) for _ in range(30)], helds=[held])
    assert [f"{f.rule}:{f.line}" for f in turned_round(seen)] == rules


@pytest.mark.parametrize(
    ("scale", "how"), [("sum", "the sum over the batch"), ("mean", "the mean over the classes too")]
)
def test_own_loss_that_was_summed_as_it_is(scale, how):
    own = Seen("a.py", own_first=400.0, log_softmax=((32, 6), None), own_scale=(scale, 64, Place("a.py", 5)))
    (found,) = own_reduction(own)
    assert (found.rule, found.line, found.what) == ("loss-reduction", 5, f"The loss is {how}")
    assert ("times 64" in found.evidence) == (scale == "sum")
    assert list(own_reduction(replace(own, own_scale=None))) == [], "too large for a batch of 32"


@pytest.mark.parametrize(("groups", "side", "found"), [(8, 1, 1), (8, 4, 0), (2, 1, 0)])
def test_norm_over_one_number(groups, side, found):
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(side), nn.GroupNorm(groups, 8), nn.Flatten(), nn.Linear(8 * side**2, 3)
    )
    assert [f.rule for f in layers.lone_numbers(trace(net, torch.randn(4, 1, 8, 8)))] == ["input-ignored"] * found
