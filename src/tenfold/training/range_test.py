"""The learning-rate range test (Smith 2017): one short training whose rate rises at every step, and what it suggests.

The loss falls where the rate is useful and rises where it is too large. It is made for looking at the curve; the
suggestion is where the loss falls most steeply, which is a good rate for a constant or falling schedule.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from tenfold.datasets.dataset import Progress, silent
from tenfold.errors import RecipeError, TrainingError
from tenfold.recipe import Plan
from tenfold.training.loop import descend
from tenfold.training.setup import Setup
from tenfold.training.step import NotFinite

DIVERGED = 2.0
"""The test ends when the loss of the last steps is this many times that of the first ones."""
RECENT = 5
"""So many steps are the last ones, and the first."""
SMOOTHED_OVER = 0.05
"""The loss is smoothed over this share of the steps, to either side."""
LEAST_GAIN = 4.0
"""A smoothed loss that falls by less than so many of its standard errors tells nothing."""

REPLACED = ("optimizer.lr", "epochs", "ema", "early_stopping", "checkpoint_every", "tta", "tta_share")
"""Options that a range test does not read, beside the schedule's."""


@dataclass(frozen=True)
class RangeTest:
    """What each step saw: its rate and the batch's loss, as measured and smoothed; and the rate to begin with."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]
    suggestion: float
    diverged: bool

    @property
    def option(self) -> str:
        """The suggestion as it is typed."""
        return f"--optimizer.lr {self.suggestion:g}"


def check_read(plan: Plan) -> None:
    """RecipeError where the user set what a range test replaces; muon's other rates keep their ratio to its lr."""
    replaced = [name for name in plan.origin if name in REPLACED or name.startswith("schedule.")]
    for name in replaced:
        if plan.origin[name] == "user" and not (name == "optimizer.lr" and plan.recipe.optimizer.name == "muon"):
            told = f"{name} would have no effect: the learning-rate finder tries rates of its own, for a few steps."
            raise RecipeError(told, "Leave it out; --low, --high and --steps say which rates.")


def range_test(setup: Setup, low: float, high: float, steps: int, progress: Progress = silent) -> RangeTest:
    """Train so many steps at rates from `low` to `high`, or until the loss diverges.

    The net's weights are trained on the way: give a Setup that nobody needs afterwards. TrainingError where no rate
    lowered the loss.
    """
    rates = np.geomspace(low, high, steps).tolist()
    losses: list[float] = []
    for index, rate in enumerate(rates):
        if diverging(losses):
            break
        epoch, step = divmod(index, setup.loader.steps)
        try:
            loss, _ = descend(at_rate(setup, rate), epoch, step, *setup.loader.batch(epoch, step))
        except NotFinite:
            break
        losses.append(loss)
        progress("trying rates", index + 1, steps)
    reach = max(1, round(SMOOTHED_OVER * steps))
    smooth = smoothed(losses, reach)
    suggestion = suggested(rates, smooth, noise(losses, smooth, reach))
    if suggestion is None:
        told = f"No rate from {low:g} to {high:g} lowered the loss in {len(losses)} steps."
        raise TrainingError(told, f"Try --steps {2 * steps}, or other rates with --low and --high.")
    diverged = len(losses) < steps or diverging(losses)
    return RangeTest(tuple(rates[: len(losses)]), tuple(losses), tuple(smooth), suggestion, diverged)


def at_rate(setup: Setup, rate: float) -> Setup:
    """The same training at one rate."""
    factor = rate / setup.recipe.optimizer.lr
    return replace(setup, schedule=lambda _epoch: factor)


def diverging(losses: Sequence[float]) -> bool:
    """Whether the last steps' loss is far above the first ones'."""
    return len(losses) >= 2 * RECENT and median(losses[-RECENT:]) > DIVERGED * median(losses[:RECENT])


def smoothed(losses: Sequence[float], reach: int) -> list[float]:
    """Means over `reach` steps to either side, the near ones weighing more: no lag, as a running mean has."""
    weights = 1 - np.abs(np.arange(-reach, reach + 1)) / (reach + 1)
    found = []
    for index in range(len(losses)):
        near = range(max(0, index - reach), min(len(losses), index + reach + 1))
        chosen = weights[[at - index + reach for at in near]]
        found.append(float(np.average([losses[at] for at in near], weights=chosen)))
    return found


def noise(losses: Sequence[float], smooth: Sequence[float], reach: int) -> float:
    """About the standard error of the smoothed loss, from how the first half of the losses scatter around it."""
    half = len(losses) // 2
    return float(np.std(np.subtract(losses, smooth)[:half])) / math.sqrt(reach) if half else 0.0


def suggested(rates: Sequence[float], smooth: Sequence[float], error: float) -> float | None:
    """The rate at which the smoothed loss falls most steeply, before its lowest point, to two digits.

    None where it does not fall by more than chance would have it.
    """
    lowest = int(np.argmin(smooth)) if smooth else 0
    if lowest < 2 or smooth[0] - smooth[lowest] <= LEAST_GAIN * error:
        return None
    slopes = np.gradient(smooth[: lowest + 1])
    steepest = rates[int(np.argmin(slopes))]
    digits = 1 - math.floor(math.log10(steepest))
    return round(steepest, digits)
