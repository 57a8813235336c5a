"""Every schedule: pure, within its bounds, and equal to torch's where torch has it."""

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from tenfold.recipe import ScheduleOptions
from tenfold.registry import defaults
from tenfold.training.schedules import SCHEDULES, build

EPOCHS = 30
REFERENCE = {
    "constant": lambda optimizer: ConstantLR(optimizer, factor=1.0),
    "step": lambda optimizer: StepLR(optimizer, step_size=10, gamma=0.1),
    "multi_step": lambda optimizer: MultiStepLR(optimizer, milestones=[15, 23], gamma=0.1),
    "linear": lambda optimizer: LinearLR(optimizer, 1.0, 0.0, total_iters=EPOCHS),
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, T_max=EPOCHS),
    "one_cycle": lambda optimizer: one_cycle(optimizer, "cos"),
}


def one_cycle(optimizer, anneal: str) -> OneCycleLR:
    """torch counts steps from 0 to the last one, so one more than epochs; its phases end one step early."""
    phases = {"pct_start": (0.3 * EPOCHS + 1) / (EPOCHS + 1), "div_factor": 25, "final_div_factor": 1e4}
    return OneCycleLR(optimizer, 1.0, total_steps=EPOCHS + 1, anneal_strategy=anneal, cycle_momentum=False, **phases)


def schedule(name: str, **values):
    return build(ScheduleOptions(name=name, **{**defaults(SCHEDULES[name]), **values}), EPOCHS)


def rates(reference, count: int) -> list[float]:
    """The first rates that a torch scheduler gives."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = reference(optimizer), []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_is_a_pure_function_of_the_position(name):
    positions = [epoch / 7 for epoch in range(7 * EPOCHS)]
    forwards = [schedule(name)(p) for p in positions]
    backwards = [schedule(name)(p) for p in reversed(positions)]
    assert forwards == backwards[::-1]
    assert all(0 <= factor <= 1 for factor in forwards)


@pytest.mark.parametrize("name", SCHEDULES)
def test_equals_torch(name):
    expected = rates(REFERENCE[name], EPOCHS)
    assert [schedule(name)(epoch) for epoch in range(EPOCHS)] == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_options_equal_torchs():
    linear, cosine = schedule("linear", floor=0.2), schedule("cosine", floor=0.2)
    straight = schedule("one_cycle", anneal="linear")
    references = (
        (linear, lambda optimizer: LinearLR(optimizer, 1.0, 0.2, total_iters=EPOCHS)),
        (cosine, lambda optimizer: CosineAnnealingLR(optimizer, T_max=EPOCHS, eta_min=0.2)),
        (straight, lambda optimizer: one_cycle(optimizer, "linear")),
    )
    for mine, reference in references:
        assert [mine(e) for e in range(EPOCHS)] == pytest.approx(rates(reference, EPOCHS), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup_rises_linearly_and_then_the_schedule_begins(name):
    """torch's own chaining: LinearLR for 5 epochs, then the schedule over the 25 that are left."""
    warm = schedule(name, warmup=5.0)
    alone = build(ScheduleOptions(name=name, **defaults(SCHEDULES[name])), EPOCHS - 5)
    assert [warm(e) for e in range(5, EPOCHS)] == pytest.approx([alone(e) for e in range(EPOCHS - 5)])
    assert [warm(e) for e in range(5)] == pytest.approx([alone(0) * e / 5 for e in range(5)])


def test_warmup_before_a_cosine_equals_torch():
    def reference(optimizer):
        rise = LinearLR(optimizer, 1e-9, 1.0, total_iters=5)
        return SequentialLR(optimizer, [rise, CosineAnnealingLR(optimizer, T_max=25)], milestones=[5])

    warm = schedule("cosine", warmup=5.0)
    expected = rates(reference, EPOCHS)
    assert [warm(e) for e in range(EPOCHS)] == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_falls_to_its_floor_at_the_end(name):
    falling = schedule(name, floor=0.25)
    values = [falling(e / 4) for e in range(4 * EPOCHS + 1)]
    assert values == sorted(values, reverse=True)
    assert (values[0], values[-1]) == (1.0, pytest.approx(0.25))


def test_one_cycle_is_highest_at_its_peak():
    cycle = schedule("one_cycle", peak=0.2, start=0.1, floor=0.05)
    assert (cycle(0), cycle(6), cycle(EPOCHS)) == (pytest.approx(0.1), 1.0, pytest.approx(0.05))
    assert cycle(5.9) < 1 > cycle(6.1)


def test_step_drops_exactly_at_its_epochs():
    halving = schedule("step", every=3, factor=0.5)
    assert [halving(e) for e in (0, 2.999, 3, 5.999, 6)] == [1, 1, 0.5, 0.5, 0.25]
