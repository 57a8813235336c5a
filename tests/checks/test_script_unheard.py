"""Settings that nothing hears of, and rates that drop while the loss still falls: judged from the facts alone."""

import pytest
import torch
from torch import nn

from tenfold.checks.script.parameters import frozen_in_name
from tenfold.checks.script.schedule import dropped_early
from tenfold.checks.script.seen import Held, Seen, Step


@pytest.mark.parametrize(("heard", "found"), [(False, True), (True, False)])
def test_requires_grad_written_to_a_layer_is_heard_by_no_parameter(heard, found, tmp_path):
    file = tmp_path / "train.py"
    file.write_text("for p in net.parameters():\n    p.requires_grad = False\nnet[1].requires_grad = True\n")
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)).requires_grad_(heard)
    net[1].requires_grad = True
    told = list(frozen_in_name(Seen(str(file), sources=[str(file)], model=net)))
    assert [(f.rule, f.line, f.layer) for f in told] == [("parameters-frozen", 3, "1")] * found


def trained(rates, losses):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rates[0])
    held = Held(optimizer, None, steps=len(rates), rates=rates)
    steps = [Step(number, held, loss, {}, {}) for number, loss in enumerate(losses)]
    return Seen("train.py", helds=[held], steps=steps, ended="script")


@pytest.mark.parametrize(
    ("drop", "final", "found"),
    [
        (15, 0.5, True),
        (60, 0.5, False),  # after more than half
        (15, 2.0, False),  # nothing was falling any more
    ],
)
def test_a_rate_that_drops_early_while_the_loss_falls(drop, final, found):
    rates = [0.1] * drop + [0.01] * (100 - drop)
    losses = [2.0 + (final - 2.0) * min(1.0, step / drop) for step in range(100)]
    told = list(dropped_early(trained(rates, losses)))
    assert [f.rule for f in told] == ["learning-rate-dropped-early"] * found


def test_a_rate_that_rises_again_did_not_drop():
    rates = [0.1] * 15 + [0.01] * 15 + [0.1] * 70
    assert not list(dropped_early(trained(rates, [2.0 - step / 60 for step in range(100)])))
