"""What a run will take, from the speed measured on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass

from tenfold.experiments.lab.parts import ARMS, RESNET, SIMPLENN
from tenfold.experiments.lab.plan import Terms, plan_of
from tenfold.experiments.many import Split, fastest_split, one_thread_each
from tenfold.experiments.rates import train_some, train_step
from tenfold.models import build
from tenfold.models.inspection import inspect_model
from tenfold.models.own import is_own
from tenfold.recipe import Plan
from tenfold.training.resolve import check_options
from tenfold.training.setup import Setup, prepare

OVERHEAD = {True: 0.7, False: 2.5}
"""Seconds of a run beside its steps (quick or not): start, reading data, judging; pictures and page if not quick."""
TIMED = 1.0
"""Seconds in which steps are counted where no other process takes part."""
JUDGING = 1 / 3
"""Judging an image takes about this share of training on it."""
BASES = {SIMPLENN: "batch norm", RESNET: "resnet20"}
"""The arm by which each net's speed is measured."""


@dataclass(frozen=True)
class Pace:
    """By net: how the runs share the machine, images/s of all of them together, multiply-adds an image; then images
    for training and validation, and the seconds of a run beside its steps."""

    splits: dict[str, Split]
    rates: dict[str, float]
    work: dict[str, int]
    images: int
    overhead: float


def measured(nets: Iterable[str], terms: Terms) -> Pace:
    """Train each net for some seconds, in each way to share the cores; remembered for machine and versions.

    A quick lab has one thread a run: one process is timed, here, and the cores taken to be as fast as it together.
    """
    splits, rates, work = {}, {}, {}
    images = 0
    for net in sorted(nets):
        plan = plan_of(ARMS[BASES[net]], terms)
        setup = prepare(plan.override({"backend.choice": "reference"}, "recipe"))
        if terms.quick:
            splits[net], rates[net] = one_thread_each(plan), 0.0
        else:
            found = fastest_split(plan)
            splits[net], rates[net] = found.best, dict(found.rates)[found.best]
        rates[net] = rates[net] or splits[net].processes * rate_here(setup)
        work[net] = multiply_adds(setup.plan, setup.preprocessing.size)
        images = len(setup.dataset.labels) - len(setup.splits["test"])
    return Pace(splits, rates, work, images, OVERHEAD[terms.quick])


def rate_here(setup: Setup) -> float:
    """Images/s of steps in this process, after one that is not timed."""
    train_step(setup, 0)
    return train_some(setup, TIMED)


def multiply_adds(plan: Plan, size: int) -> int:
    """Of one image; 10 classes, 3 channels."""
    model = check_options(plan, []).recipe.model
    return inspect_model(build(model, 3, size, 10, 0), 3, size, 1).multiply_adds


def expected(plan: Plan, pace: Pace | None) -> float:
    """Seconds that the run takes of the lab's time, side by side with others. A net that was not measured is scaled."""
    if pace is None:
        return 0.0
    name = plan.recipe.model.name
    net = name if name in pace.rates else RESNET if RESNET in pace.rates else SIMPLENN
    rate, split = pace.rates[net], pace.splits[net]
    if name not in pace.rates and not is_own(name):
        size = plan.recipe.preprocess.center_crop or plan.recipe.image_size or 32
        rate *= pace.work[net] / max(1, multiply_adds(plan, size))
    held = plan.recipe.validation
    seen = plan.recipe.epochs * pace.images * (plan.recipe.fraction * (1 - held) + held * JUDGING)
    return seen / rate + pace.overhead / split.processes
