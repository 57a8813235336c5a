"""Every schedule: pure, within its bounds, and equal to torch's where torch has it."""

from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
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
    "halving": lambda optimizer: StepLR(optimizer, step_size=10, gamma=0.5),
    "exponential": lambda optimizer: ExponentialLR(optimizer, gamma=0.9),
    "polynomial": lambda optimizer: PolynomialLR(optimizer, total_iters=EPOCHS, power=0.9),
    "cosine_restarts": lambda optimizer: CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=2),
    "cyclic": lambda optimizer: CyclicLR(optimizer, 0.1, 1.0, step_size_up=5, cycle_momentum=False),
    "plateau": lambda optimizer: ConstantLR(optimizer, factor=1.0),
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
        (schedule("polynomial", power=3.0), lambda optimizer: PolynomialLR(optimizer, total_iters=EPOCHS, power=3.0)),
        (
            schedule("cosine_restarts", period=3.0, stretch=3, floor=0.2),
            lambda optimizer: CosineAnnealingWarmRestarts(optimizer, T_0=3, T_mult=3, eta_min=0.2),
        ),
        (
            schedule("cyclic", period=8.0, floor=0.25),
            lambda optimizer: CyclicLR(optimizer, 0.25, 1.0, step_size_up=4, cycle_momentum=False),
        ),
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


@pytest.mark.parametrize("name", ["linear", "cosine", "polynomial"])
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


def test_halving_is_exact():
    halving = schedule("halving", every=4)
    assert [halving(e) for e in (0, 3.999, 4, 8, 12)] == [1, 1, 1 / 2, 1 / 4, 1 / 8]


def test_exponential_falls_by_the_same_share_at_every_step():
    falling = schedule("exponential", factor=0.8)
    values = [falling(e / 4) for e in range(4 * EPOCHS)]
    assert [b / a for a, b in pairwise(values)] == pytest.approx([0.8**0.25] * (len(values) - 1))


def test_restarts_begin_anew_after_ever_longer_cycles():
    restarts = schedule("cosine_restarts", period=2.0, stretch=2, floor=0.1)
    assert [restarts(e) for e in (0, 2, 6, 14)] == [1.0] * 4
    assert [restarts(e - 1e-6) for e in (2, 6, 14)] == pytest.approx([0.1] * 3, abs=1e-6)
    assert restarts(4) == pytest.approx((1 + 0.1) / 2)
    assert [schedule("cosine_restarts", period=3.0, stretch=1)(e) for e in (3, 27)] == [1.0, 1.0]


@pytest.mark.parametrize("stretch", [1, 2])
def test_shortest_cycles_end_too(stretch):
    assert 0 <= schedule("cosine_restarts", period=1e-12, stretch=stretch)(29.5) <= 1


def test_cyclic_is_a_triangle():
    cyclic = schedule("cyclic", period=4.0, floor=0.2)
    assert [cyclic(e) for e in (0, 1, 2, 3, 4, 6)] == pytest.approx([0.2, 0.6, 1.0, 0.6, 0.2, 1.0])


def watched(accuracies: list[float], warmup: float = 0.0, **values):
    """The plateau's factor in each epoch, of a run that validated so."""
    options = ScheduleOptions(name="plateau", warmup=warmup, **{**defaults(SCHEDULES["plateau"]), **values})
    factor = build(options, len(accuracies), lambda: accuracies)
    return [factor(epoch) for epoch in range(len(accuracies))]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("patience", [0, 2, 5])
def test_plateau_equals_torch(seed, patience):
    accuracies = torch.rand(40, generator=torch.Generator().manual_seed(seed)).mul(20).round().div(20).tolist()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    settings = {"mode": "max", "factor": 0.5, "patience": patience, "threshold": 0.0, "eps": 0.0}
    reference, expected = ReduceLROnPlateau(optimizer, **settings), []
    for accuracy in accuracies:
        expected.append(optimizer.param_groups[0]["lr"])
        reference.step(accuracy)
    assert watched(accuracies, factor=0.5, patience=patience) == pytest.approx(expected)


def test_plateau_waits_while_the_accuracy_rises_and_sees_nothing_of_its_own_epoch():
    rising = [e / 40 for e in range(40)]
    assert watched(rising, patience=0) == [1.0] * 40
    assert watched([0.5, 0.4, 0.6, 0.6, 0.6], factor=0.5, patience=0) == [1, 1, 0.5, 0.5, 0.25]


def test_plateau_begins_to_watch_after_the_warmup():
    assert watched([0.5] * 6, warmup=2.0, factor=0.5, patience=0)[2:] == [1, 1, 0.5, 0.25]
