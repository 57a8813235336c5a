"""What a run will take, from the speed measured on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass

from tenfold.experiments.lab.parts import ARMS, RESNET, SIMPLENN
from tenfold.experiments.lab.plan import Terms, plan_of
from tenfold.experiments.many import Split, fastest_split
from tenfold.models import build
from tenfold.models.inspection import inspect_model
from tenfold.models.own import is_own
from tenfold.recipe import Plan
from tenfold.training.resolve import check_options
from tenfold.training.setup import prepare

OVERHEAD = 3.0
"""Seconds of a run beside its steps: reading data, judging, pictures, page."""
JUDGING = 1 / 3
"""Judging an image takes about this share of training on it."""
BASES = {SIMPLENN: "batch norm", RESNET: "resnet20"}
"""The arm by which each net's speed is measured."""


@dataclass(frozen=True)
class Pace:
    """By net: how the runs share the machine, images/s of all of them together, multiply-adds an image; and images."""

    splits: dict[str, Split]
    rates: dict[str, float]
    work: dict[str, int]
    images: int


def measured(nets: Iterable[str], terms: Terms) -> Pace:
    """Train each net for some seconds, in each way to share the cores; remembered for machine and versions."""
    splits, rates, work = {}, {}, {}
    images = 0
    for net in sorted(nets):
        plan = plan_of(ARMS[BASES[net]], terms)
        found = fastest_split(plan)
        setup = prepare(plan.override({"backend.choice": "reference"}, "recipe"))
        splits[net], rates[net] = found.best, dict(found.rates)[found.best] or one_step_rate(setup.recipe.batch)
        work[net] = multiply_adds(setup.plan, setup.preprocessing.size)
        images = sum(len(setup.splits[part]) for part in ("train", "val"))
    return Pace(splits, rates, work, images)


def one_step_rate(batch: int) -> float:
    """A guess where nothing was measured (one core, or a GPU): fifty batches a second."""
    return 50.0 * batch


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
    seen = plan.recipe.epochs * pace.images * (1 - held + held * JUDGING)
    return seen / rate + OVERHEAD / split.processes
