"""Every schedule: pure, within its bounds, and equal to torch's where torch has it."""

import pytest
import torch
from torch.optim.lr_scheduler import ConstantLR, StepLR

from tenfold.recipe import ScheduleOptions
from tenfold.registry import defaults
from tenfold.training.schedules import SCHEDULES, build

EPOCHS = 30
REFERENCE = {
    "constant": lambda optimizer: ConstantLR(optimizer, factor=1.0),
    "step": lambda optimizer: StepLR(optimizer, step_size=10, gamma=0.1),
}


def schedule(name: str, **values):
    return build(ScheduleOptions(name=name, **{**defaults(SCHEDULES[name]), **values}), EPOCHS)


@pytest.mark.parametrize("name", SCHEDULES)
def test_is_a_pure_function_of_the_position(name):
    positions = [epoch / 7 for epoch in range(7 * EPOCHS)]
    forwards = [schedule(name)(p) for p in positions]
    backwards = [schedule(name)(p) for p in reversed(positions)]
    assert forwards == backwards[::-1]
    assert all(0 <= factor <= 1 for factor in forwards)


@pytest.mark.parametrize("name", SCHEDULES)
def test_equals_torch(name):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = REFERENCE[name](optimizer)
    for epoch in range(EPOCHS):
        assert schedule(name)(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        reference.step()


def test_step_drops_exactly_at_its_epochs():
    halving = schedule("step", every=3, factor=0.5)
    assert [halving(e) for e in (0, 2.999, 3, 5.999, 6)] == [1, 1, 0.5, 0.5, 0.25]
